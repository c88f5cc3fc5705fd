/** Messages of one stream of events; `lastId` and `retryMs` outlive its connections. */
export class EventStream {
    lastId: string;
    retryMs: number;
    /** Go on after this id: half a message of an earlier connection is forgotten. @param {string} lastId */
    resume(lastId: string): void;
    /** The messages that are whole with these bytes. @param {Uint8Array} chunk @returns {Generator<any>} */
    feed(chunk: Uint8Array): Generator<any>;
    #private;
}
