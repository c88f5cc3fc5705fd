// HTTP client of the daemon's job API: retries under one idempotency key, waiting by events that resume, and by looking.
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { Conflict, WaitTimedOut } from "./errors.js";
import { EventStream } from "./event-stream.js";
import { Leases } from "./leases.js";
import { multipart } from "./upload.js";
import { passing, rested, retryAfterMs, search, Wire } from "./wire.js";
import { serve } from "./work.js";

/** @import { components, operations } from "./openapi.js" */
/** @import { Run } from "./work.js" */
/** @typedef {components["schemas"]} Schemas */
/** @typedef {Schemas["SubmitAsk"]} Submit A job of one of the types that ship. */
/** @typedef {Schemas["EventMessage"]} Message */
/** @typedef {Pick<Schemas["Job"], "jobId" | "status" | "progress" | "phase" | "message"> & { type: "job:now", jobType: string }} Now
 * A job as it stands. */
/** @typedef {{ signal?: AbortSignal | undefined }} Abort */

const ENDED = ["completed", "partial", "failed", "cancelled", "done", "canceled"]; // the last two are TrailTag's words
const LOOKS = [1, 2, 4, 8, 16, 32]; // at the job, before a stream is tried again that failed so often

/**
 * The daemon's API at `url`; answers are its JSON, refusals are thrown as `Refused`.
 *
 * `patienceMs` is how long a call may wait in all for a daemon that is away, full or limits the rate; `timeoutMs` is
 * how long one request may be silent. With job types of your own: `Client<Submit | { type: "mine", payload: Mine }>`.
 *
 * @template {{ type: string, payload: unknown }} [Jobs=Submit]
 */
export class Client {
  #wire;

  /** @param {string} url @param {{ apiKey?: string | undefined, patienceMs?: number, timeoutMs?: number }} [options] */
  constructor(url, { apiKey, patienceMs = 60_000, timeoutMs = 30_000 } = {}) {
    this.#wire = new Wire(url, apiKey, patienceMs, timeoutMs);
    /** The single calls of a remote worker. */
    this.leases = new Leases(this.#wire);
  }

  /**
   * Be a remote worker: lease jobs of these types and run `handler(run)` for each, until `signal` aborts.
   *
   * What it returns completes the job (a `Partial` in part); WorkFailed says how it failed, any other error is tried
   * again; a lease is renewed meanwhile. When the worker is stopped, what runs has `graceMs`, and goes back at no cost.
   * @template [Payload=any]
   * @param {string[]} types @param {(run: Run<Payload>) => unknown} handler
   * @param {Abort & { worker?: string, concurrency?: number, waitSeconds?: number, graceMs?: number }} [options]
   * @returns {Promise<void>}
   */
  work(types, handler, { worker = hostname(), concurrency = 1, waitSeconds = 20, graceMs = 10_000, signal } = {}) {
    return serve(this.leases, types, handler, { worker, concurrency, waitSeconds, graceMs, signal });
  }

  /**
   * A job, accepted once however often the request had to be sent.
   * @param {Jobs} job @param {Abort & { idempotencyKey?: string }} [options] @returns {Promise<Schemas["Accepted"]>}
   */
  submit(job, { idempotencyKey = randomUUID(), signal } = {}) {
    return this.#wire.ask("POST", "/api/jobs", { body: job, headers: { "idempotency-key": idempotencyKey }, signal });
  }

  /**
   * Up to 1,000 jobs, all of them accepted or none; `ref` names one for the others' `dependsOn`.
   * @param {{ jobs: (Jobs & { ref?: string, dependsOn?: string[] })[], callback?: string, name?: string }} batch
   * @param {Abort & { idempotencyKey?: string }} [options] @returns {Promise<Schemas["Batch"]>}
   */
  submitBatch(batch, { idempotencyKey = randomUUID(), signal } = {}) {
    return this.#wire.ask("POST", "/api/jobs/batch", { body: batch, headers: { "idempotency-key": idempotencyKey }, signal });
  }

  /** The job as it stands. @param {string} jobId @param {Abort} [options] @returns {Promise<Schemas["Job"]>} */
  get(jobId, { signal } = {}) {
    return this.#wire.ask("GET", path(jobId), { signal });
  }

  /**
   * A page of jobs, newest first; `cursor` is the last page's `nextCursor`. One that is not full is the last only if its
   * `nextCursor` is null: pages of large jobs end early.
   * @param {NonNullable<operations["jobs.find"]["parameters"]["query"]>} [query] @param {Abort} [options]
   * @returns {Promise<Schemas["Jobs"]>}
   */
  list(query = {}, { signal } = {}) {
    return this.#wire.ask("GET", `/api/jobs${search(query)}`, { signal });
  }

  /**
   * Every job that matches, newest first, page after page; `limit` is a page's.
   * @param {NonNullable<operations["jobs.find"]["parameters"]["query"]>} [query] @param {Abort} [options]
   * @returns {AsyncGenerator<Schemas["Job"], void>}
   */
  async *each(query = {}, { signal } = {}) {
    for (let cursor = query.cursor; ; ) {
      const page = await this.list({ ...query, ...(cursor ? { cursor } : {}) }, { signal });
      yield* page.jobs;
      if (page.nextCursor === null) return;
      cursor = page.nextCursor;
    }
  }

  /**
   * The job is cancelled, its processes are gone; one that was already is, too: who asks twice need not know of an
   * answer that was lost.
   * @param {string} jobId @param {Abort} [options] @returns {Promise<Schemas["Moved"]>}
   */
  async cancel(jobId, { signal } = {}) {
    try {
      return await this.#wire.ask("DELETE", path(jobId), { signal });
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
      return this.#movedBefore(jobId, ["cancelled", "canceled"], error, signal);
    }
  }

  /**
   * The ended job is queued again, with fresh attempts; once, however often it had to be asked for.
   * @param {string} jobId @param {Abort} [options] @returns {Promise<Schemas["Moved"]>}
   */
  async retry(jobId, { signal } = {}) {
    try {
      return await this.#wire.ask("POST", `${path(jobId)}/retry`, { signal });
    } catch (error) {
      if (!(error instanceof Conflict) || error.sent === 1) throw error;
      return this.#movedBefore(jobId, ["queued", "running"], error, signal);
    }
  }

  /** Why the job is where it is. @param {string} jobId @param {Abort} [options] @returns {Promise<Schemas["Explained"]>} */
  explain(jobId, { signal } = {}) {
    return this.#wire.ask("GET", `${path(jobId)}/explain`, { signal });
  }

  /** The daemons that share the queue, by name. @param {Abort} [options] @returns {Promise<Schemas["QueueBoxes"]>} */
  boxes({ signal } = {}) {
    return this.#wire.ask("GET", "/api/boxes", { signal });
  }

  /**
   * An analysis of what is at an address: with its recipe if that is known, else the job to `wait` for.
   * @param {string} videoUrl @param {Abort} [options] @returns {Promise<Schemas["Analysis"]>}
   */
  analyzeUrl(videoUrl, { signal } = {}) {
    const headers = { prefer: "respond-async" };
    return this.#wire.ask("POST", "/analyze-from-url", { body: { video_url: videoUrl }, headers, signal });
  }

  /**
   * An analysis of a file, which is sent; `onProgress` is told the bytes that were and all there are.
   * @param {string} file @param {Abort & { onProgress?: (sent: number, size: number) => void }} [options]
   * @returns {Promise<Schemas["Analysis"]>}
   */
  analyzeFile(file, { signal, onProgress } = {}) {
    const headers = { prefer: "respond-async" };
    return this.#wire.ask("POST", "/analyze", { upload: () => multipart("video", file, onProgress), headers, signal });
  }

  /**
   * The job, once it has ended, whatever came of it: by its events, and by looking where no stream is to be had.
   * @param {string} jobId
   * @param {Abort & { timeoutMs?: number, pollMs?: number, onEvent?: (message: Message | Now) => void }} [options]
   *   `onEvent` gets the job as it stands first, then what happens, or where no stream is to be had each look.
   * @returns {Promise<Schemas["Job"]>}
   */
  async wait(jobId, { timeoutMs, pollMs = 2000, onEvent = () => {}, signal } = {}) {
    const limit = new AbortController();
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => limit.abort(), timeoutMs);
    try {
      return await this.#ended(jobId, pollMs, onEvent, signal ? AbortSignal.any([signal, limit.signal]) : limit.signal);
    } catch (error) {
      if (limit.signal.aborted && !signal?.aborted) throw new WaitTimedOut(jobId, timeoutMs ?? 0);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Messages of all jobs, or of those of `jobId` or `type`, across connections that break; without end.
   * @param {Abort & { jobId?: string | string[], type?: string | string[], lastEventId?: string }} [options]
   * @returns {AsyncGenerator<Message, void>}
   */
  async *events({ signal, lastEventId = "", ...query } = {}) {
    const stream = new EventStream();
    stream.resume(lastEventId);
    for (let waited = 0, after = 0; ; after = 0) {
      try {
        for await (const message of this.#wire.connection(query, stream, signal)) {
          waited = 0;
          if (message) yield message;
        }
      } catch (error) {
        if (!passing(error) || waited > this.#wire.patienceMs) throw error;
        after = retryAfterMs(error);
      }
      const pause = Math.max(stream.retryMs, after);
      waited += pause;
      await rested(pause, signal);
    }
  }

  /** @param {string} jobId @param {number} pollMs @param {(message: Message | Now) => void} onEvent @param {AbortSignal} signal */
  async #ended(jobId, pollMs, onEvent, signal) {
    const stream = new EventStream();
    for (let failures = 0; ; ) {
      const before = stream.lastId;
      let job;
      try {
        job = await this.#untilCut(jobId, stream, onEvent, signal);
      } catch (error) {
        if (!passing(error)) throw error;
      }
      failures = stream.lastId === before ? failures + 1 : 0;
      for (let looks = LOOKS[Math.min(failures, LOOKS.length - 1)] ?? 0; !ended(job) && looks; looks--) {
        await rested(pollMs, signal);
        job = await this.#looked(jobId, onEvent, signal);
      }
      if (job && ended(job)) return job;
    }
  }

  /** @param {string} jobId @param {EventStream} stream @param {(message: Message | Now) => void} onEvent @param {AbortSignal} signal */
  async #untilCut(jobId, stream, onEvent, signal) {
    let job;
    for await (const message of this.#wire.connection({ jobId }, stream, signal)) {
      if (message) onEvent(message);
      // The first is none, but says that the stream is open: the job's last event may have passed before.
      if (!message || message.type === "reset" || ended(message)) job = await this.#looked(jobId, onEvent, signal);
      if (ended(job)) break;
    }
    return job;
  }

  /** @param {string} jobId @param {(message: Message | Now) => void} onEvent @param {AbortSignal} signal */
  async #looked(jobId, onEvent, signal) {
    const job = await this.get(jobId, { signal });
    const { type: jobType, status, progress, phase, message } = job;
    if (!ended(job)) onEvent({ type: "job:now", jobId, jobType, status, progress, phase, message });
    return job;
  }

  /** @param {string} jobId @param {string[]} to @param {Conflict} refused @param {AbortSignal | undefined} signal */
  async #movedBefore(jobId, to, refused, signal) {
    const { status } = await this.get(jobId, { signal });
    if (!to.includes(status)) throw refused;
    return { jobId, status };
  }
}

/** @param {any} job A job, or a message of its. */
function ended(job) {
  return ENDED.includes(job?.status);
}

/** @param {string} jobId */
function path(jobId) {
  return `/api/jobs/${encodeURIComponent(jobId)}`;
}
