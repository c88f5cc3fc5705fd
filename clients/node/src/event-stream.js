// Parser of server-sent events (WHATWG): bytes in, messages out, and the id after which to go on.

/** Messages of one stream of events; `lastId` and `retryMs` outlive its connections. */
export class EventStream {
  lastId = "";
  retryMs = 3000;
  #id = "";
  #rest = "";
  /** @type {string[]} */
  #data = [];
  #decoder = new TextDecoder();

  /** Go on after this id: half a message of an earlier connection is forgotten. @param {string} lastId */
  resume(lastId) {
    this.lastId = this.#id = lastId;
    this.#rest = "";
    this.#data = [];
    this.#decoder = new TextDecoder();
  }

  /** The messages that are whole with these bytes. @param {Uint8Array} chunk @returns {Generator<any>} */
  *feed(chunk) {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const [, name = "", value = ""] = /^([^:\r]*)(?:: ?([^\r]*))?\r?$/.exec(line) ?? [];
      if (name === "data") this.#data.push(value);
      else if (name === "id") this.#id = value;
      else if (name === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
      else if (line === "" || line === "\r") {
        this.lastId = this.#id; // only now: cut off before this line, the message has to come again
        const data = this.#data.splice(0).join("\n");
        if (data) yield JSON.parse(data);
      }
    }
  }
}
