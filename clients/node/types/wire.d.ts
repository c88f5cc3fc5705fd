/** Whether asking again may help. @param {unknown} error */
export function passing(error: unknown): boolean;
/** What the daemon asked for. @param {unknown} error */
export function retryAfterMs(error: unknown): number;
/** A pause, a little longer by chance, so that many callers do not come at once. @param {number} ms @param {AbortSignal | undefined} signal */
export function rested(ms: number, signal: AbortSignal | undefined): Promise<void>;
/** A query, where a list is a parameter for each of its values. @param {object} query */
export function search(query: object): string;
/** The way to one daemon. */
export class Wire {
    /** @param {string} url @param {string | undefined} apiKey @param {number} patienceMs @param {number} timeoutMs */
    constructor(url: string, apiKey: string | undefined, patienceMs: number, timeoutMs: number);
    patienceMs: number;
    /**
     * The answer's JSON; what passes by is waited for, as long as the client is patient, as the daemon's Retry-After says.
     * @param {string} method @param {string} path @param {Rest} [rest] @returns {Promise<any>}
     */
    ask(method: string, path: string, rest?: Rest): Promise<any>;
    /**
     * One connection's messages, after an `undefined` once it is open.
     * @param {object} query @param {EventStream} stream @param {AbortSignal | undefined} signal @returns {AsyncGenerator<any, void>}
     */
    connection(query: object, stream: EventStream, signal: AbortSignal | undefined): AsyncGenerator<any, void>;
    #private;
}
/**
 * `patienceMs` in place of the client's; `waitsMs`: so much longer the daemon may be silent.
 */
export type Rest = {
    body?: unknown;
    headers?: Record<string, string>;
    upload?: () => Multipart;
    signal?: AbortSignal | undefined;
    patienceMs?: number | undefined;
    waitsMs?: number;
};
import type { EventStream } from "./event-stream.js";
import type { Multipart } from "./upload.js";
