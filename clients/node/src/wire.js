// Requests of the client: one with its retries, one stream's connection, and how long either may be silent.
import { setTimeout as sleep } from "node:timers/promises";
import { NoAnswer, refusal, Refused } from "./errors.js";

/** @import { EventStream } from "./event-stream.js" */
/** @import { Multipart } from "./upload.js" */
/** @typedef {{ body?: unknown, headers?: Record<string, string>, upload?: () => Multipart, signal?: AbortSignal | undefined, patienceMs?: number | undefined, waitsMs?: number }} Rest
 * `patienceMs` in place of the client's; `waitsMs`: so much longer the daemon may be silent. */

const SILENCE_MS = 45_000; // the daemon sends a comment every 15 s: a stream that is still for so long is dead
const PAUSES_MS = [200, 500, 1000, 2000, 4000, 8000]; // before a call is sent again; the last one from then on

/** The way to one daemon. */
export class Wire {
  #url;
  #headers;
  #timeoutMs;

  /** @param {string} url @param {string | undefined} apiKey @param {number} patienceMs @param {number} timeoutMs */
  constructor(url, apiKey, patienceMs, timeoutMs) {
    if (!/^https?:$/.test(new URL(url).protocol)) throw new TypeError(`${url} begins with neither http:// nor https://`);
    this.#url = url.replace(/\/$/, "");
    this.#headers = { accept: "application/json", ...(apiKey ? { authorization: `Bearer ${apiKey}` } : {}) };
    this.#timeoutMs = timeoutMs;
    this.patienceMs = patienceMs;
  }

  /**
   * The answer's JSON; what passes by is waited for, as long as the client is patient, as the daemon's Retry-After says.
   * @param {string} method @param {string} path @param {Rest} [rest] @returns {Promise<any>}
   */
  async ask(method, path, rest = {}) {
    for (let sent = 1, waited = 0; ; sent++) {
      let pause = PAUSES_MS[Math.min(sent, PAUSES_MS.length) - 1] ?? 0;
      try {
        return await this.#once(method, path, rest, sent);
      } catch (error) {
        pause = Math.max(pause, retryAfterMs(error));
        if (!passing(error) || waited + pause > (rest.patienceMs ?? this.patienceMs)) throw error;
      }
      waited += pause;
      await rested(pause, rest.signal);
    }
  }

  /**
   * One connection's messages, after an `undefined` once it is open.
   * @param {object} query @param {EventStream} stream @param {AbortSignal | undefined} signal @returns {AsyncGenerator<any, void>}
   */
  async *connection(query, stream, signal) {
    const silence = new Silence(this.#timeoutMs, signal);
    try {
      const headers = { ...this.#headers, ...(stream.lastId ? { "last-event-id": stream.lastId } : {}) };
      const response = await fetch(`${this.#url}/api/events${search(query)}`, { headers, signal: silence.signal });
      if (response.status !== 200 || !response.body) throw await refusal(response, 1);
      stream.resume(stream.lastId);
      silence.broken(SILENCE_MS);
      yield undefined;
      for await (const chunk of response.body) {
        silence.broken(SILENCE_MS);
        yield* stream.feed(chunk);
      }
    } catch (error) {
      throw this.#lost(error, signal);
    } finally {
      silence.end();
    }
  }

  /** @param {string} method @param {string} path @param {Rest} rest @param {number} sent */
  async #once(method, path, { body, headers, upload, signal, waitsMs = 0 }, sent) {
    // What the caller gave wrongly is thrown as it is: asking again does not help.
    const form = upload?.();
    const type = form?.type ?? (body === undefined ? undefined : "application/json");
    const all = new Headers({ ...this.#headers, ...headers, ...(type ? { "content-type": type } : {}) });
    const text = body === undefined ? null : JSON.stringify(body);
    const silence = new Silence(this.#timeoutMs + waitsMs, signal);
    try {
      const response = await fetch(this.#url + path, {
        method,
        headers: all,
        body: form ? form.body(() => silence.broken(this.#timeoutMs)) : text,
        duplex: "half",
        signal: silence.signal,
      });
      if (response.status >= 400) throw await refusal(response, sent);
      const answer = await response.text();
      return answer ? JSON.parse(answer) : undefined;
    } catch (error) {
      throw form?.fault ?? this.#lost(error, signal);
    } finally {
      silence.end();
    }
  }

  /** What a fetch threw, as ours; an abort by the caller stays what it is. @param {any} error @param {AbortSignal | undefined} signal */
  #lost(error, signal) {
    if (signal?.aborted || error instanceof Refused) return error;
    const why = error.cause?.code ?? error.cause?.message ?? error.message;
    return new NoAnswer(`${this.#url} gave no answer: ${why}`, { cause: error });
  }
}

/** Aborts when nothing was heard for so long, or when the caller aborts. */
class Silence {
  #abort = new AbortController();
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  #over = false;

  /** @param {number} ms @param {AbortSignal | undefined} signal */
  constructor(ms, signal) {
    this.signal = signal ? AbortSignal.any([this.#abort.signal, signal]) : this.#abort.signal;
    this.broken(ms);
  }

  /** It may last so long again. @param {number} ms */
  broken(ms) {
    clearTimeout(this.#timer);
    if (this.#over) return; // an upload that was refused early is read on for a moment
    this.#timer = setTimeout(() => this.#abort.abort(new Error(`silent for ${ms / 1000} s`)), ms);
  }

  /** Nothing of it is left: no timer, no connection. */
  end() {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#abort.abort();
  }
}

/** Whether asking again may help. @param {unknown} error */
export function passing(error) {
  return error instanceof NoAnswer || (error instanceof Refused && error.passes);
}

/** What the daemon asked for. @param {unknown} error */
export function retryAfterMs(error) {
  return (error instanceof Refused && error.retryAfterMs) || 0;
}

/** A pause, a little longer by chance, so that many callers do not come at once. @param {number} ms @param {AbortSignal | undefined} signal */
export async function rested(ms, signal) {
  await sleep(ms * (1 + Math.random() / 5), undefined, signal ? { signal } : {});
}

/** A query, where a list is a parameter for each of its values. @param {object} query */
export function search(query) {
  const text = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value ?? []].flat()) text.append(name, String(one));
  }
  return text.size ? `?${text}` : "";
}
