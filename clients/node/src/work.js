// Worker loop: takes jobs, runs a handler for each, renews its lease meanwhile, and says how it ended.
import { setTimeout as sleep } from "node:timers/promises";
import { ClientError, LeaseLost, Refused } from "./errors.js";
import { passing, rested, retryAfterMs } from "./wire.js";

/** @import { Lease, Leases, Schemas } from "./leases.js" */
/** @typedef {Schemas["NewsAsk"]} News */

const SOONEST_MS = 200, RAREST_MS = 10_000; // between two renewals, however wrong the clock is here
const TELL_EVERY_MS = 1000;
const PAUSES_MS = [500, 1000, 2000, 4000, 8000]; // before a daemon that is away is asked for jobs again
const STOPPED = "the worker stops";

/** What a handler throws to say how it failed; any other error counts as transient, which is tried again. */
export class WorkFailed extends ClientError {
  /**
   * @param {string} message
   * @param {{ class?: "transient" | "deterministic" | "timeout", type?: string, retryAfterSeconds?: number }} [how]
   */
  constructor(message, { class: kind = "deterministic", type = "failed", retryAfterSeconds } = {}) {
    super(message);
    this.class = kind;
    this.type = type;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** Why a handler was told to stop: its job is to be cancelled, or the worker ends. */
export class WorkStopped extends ClientError {}

/** What a handler returns that could do a part only. */
export class Partial {
  /** @param {unknown} result @param {unknown[]} missing */
  constructor(result, missing) {
    this.result = result;
    this.missing = missing;
  }
}

/**
 * A job in its handler's hands. `signal` aborts when the handler is to stop, with the reason: WorkStopped, LeaseLost.
 * @template [Payload=any]
 */
export class Run {
  #leases;
  #stop = new AbortController();
  /** @type {Record<string, unknown>} */
  #steps;
  /** @type {News} */
  #news = {};
  #wake = () => {};
  #over = false;

  /** @param {Leases} leases @param {Lease} lease */
  constructor(leases, lease) {
    this.#leases = leases;
    this.#steps = { ...lease.steps };
    this.lease = lease;
    this.jobId = lease.jobId;
    this.payload = /** @type {Payload} */ (lease.payload);
    /** @type {AbortSignal} */
    this.signal = this.#stop.signal;
  }

  /**
   * What `work` returns, stored at once; what an earlier lease of the job stored is not done again.
   * @template T @param {string} name @param {() => T | Promise<T>} work @returns {Promise<T>}
   */
  async step(name, work) {
    this.signal.throwIfAborted();
    if (!Object.hasOwn(this.#steps, name)) {
      const result = await work();
      this.signal.throwIfAborted();
      await this.#leases.step(this.lease.token, name, result ?? null);
      this.#steps[name] = result ?? null;
    }
    return /** @type {T} */ (this.#steps[name]);
  }

  /** How far it is (0 to 100), told once a second at most. @param {number} progress @param {Omit<News, "progress">} [news] */
  progress(progress, news = {}) {
    this.signal.throwIfAborted();
    this.#news = { ...this.#news, ...news, progress };
    this.#wake();
  }

  /** A file (its path) or bytes as an artefact of the job. @param {string} name @param {string | Uint8Array} content */
  async artifact(name, content) {
    this.signal.throwIfAborted();
    return this.#leases.artifact(this.lease.token, name, content);
  }

  /** The handler is to stop. @param {Error} why */
  stop(why) {
    this.#stop.abort(why);
  }

  /** Run the handler, renewing all the while, and say how it ended. @param {(run: Run<Payload>) => unknown} handler */
  async finish(handler) {
    const beats = this.#beat();
    try {
      const end = await this.#ended(handler);
      if (!(this.signal.reason instanceof LeaseLost)) await this.#told(end);
    } finally {
      this.#over = true;
      this.#wake();
      await beats;
    }
    const why = this.signal.reason;
    if (why instanceof Refused && !(why instanceof LeaseLost)) throw why;
  }

  /** @param {(run: Run<Payload>) => unknown} handler @returns {Promise<() => Promise<unknown>>} */
  async #ended(handler) {
    const { token } = this.lease;
    try {
      const result = await handler(this);
      if (result instanceof Partial) return () => this.#leases.partial(token, result.result, result.missing);
      return () => this.#leases.complete(token, result);
    } catch (error) {
      return this.#failed(error);
    }
  }

  /** @param {any} error @returns {() => Promise<unknown>} */
  #failed(error) {
    const { token } = this.lease;
    if (error instanceof LeaseLost) return async () => {};
    if (error instanceof WorkFailed) {
      const { class: kind, type, message, retryAfterSeconds } = error;
      return () => this.#leases.fail(token, { class: kind, type, message }, { retryAfterSeconds });
    }
    const why = this.signal.reason;
    // However it ended that was told to stop: an aborted fetch throws what it likes.
    if (why instanceof WorkStopped) return () => this.#leases.release(token, why.message);
    const message = String(error?.message ?? error) || "no message";
    return () => this.#leases.fail(token, { class: "transient", type: String(error?.name ?? "Error"), message });
  }

  /** What can't be stored of an end is a failure of the handler. @param {() => Promise<unknown>} end */
  async #told(end) {
    try {
      await end();
    } catch (error) {
      if (error instanceof LeaseLost) return;
      if (!(error instanceof Refused) || ![400, 413, 422].includes(error.status)) throw error;
      const told = { class: /** @type {const} */ ("deterministic"), type: "bad_result", message: error.message };
      await this.#leases.fail(this.lease.token, told);
    }
  }

  async #beat() {
    const left = Date.parse(this.lease.expiresAt) - Date.now();
    const everyMs = Math.min(Math.max(SOONEST_MS, left / 3), RAREST_MS);
    for (let pauseMs = everyMs; ; pauseMs = everyMs) {
      await this.#woken(pauseMs);
      if (this.#over) return;
      const news = this.#news;
      this.#news = {};
      try {
        const { cancelRequested } = await this.#leases.renew(this.lease.token, news);
        if (cancelRequested) this.stop(new WorkStopped("cancelled on request"));
      } catch (error) {
        if (!passing(error)) return this.stop(/** @type {Error} */ (error));
      }
      await this.#woken(TELL_EVERY_MS, () => this.#over);
    }
  }

  /** So long, or until there is something to tell. @param {number} ms @param {() => boolean} [enough] */
  async #woken(ms, enough = () => this.#over || Object.keys(this.#news).length > 0) {
    const early = new AbortController();
    this.#wake = () => enough() && early.abort();
    this.#wake();
    await sleep(ms, undefined, { signal: early.signal }).catch(() => {});
    this.#wake = () => {};
  }
}

/**
 * Serve these types with `handler`, so many jobs at once, until `signal` aborts: what runs then has `graceMs`, and goes
 * back at no cost if it takes longer.
 * @template Payload
 * @param {Leases} leases @param {string[]} types @param {(run: Run<Payload>) => unknown} handler
 * @param {{ worker: string, concurrency: number, waitSeconds: number, graceMs: number, signal?: AbortSignal | undefined }} options
 */
export async function serve(leases, types, handler, { worker, concurrency, waitSeconds, graceMs, signal }) {
  const stop = new AbortController();
  const stopped = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  /** @type {Set<Run<Payload>>} */
  const running = new Set();
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const end = () => {
    timer = setTimeout(() => running.forEach((run) => run.stop(new WorkStopped(STOPPED))), graceMs);
  };
  if (stopped.aborted) return;
  stopped.addEventListener("abort", end, { once: true });

  /** One job after the other. */
  async function one() {
    for (let failures = 0; !stopped.aborted; ) {
      let leased;
      try {
        leased = await leases.take(types, worker, { waitSeconds, patienceMs: 0, signal: stopped });
        failures = 0;
      } catch (error) {
        if (stopped.aborted) return;
        if (!passing(error)) throw error;
        const pause = PAUSES_MS[Math.min(failures++, PAUSES_MS.length - 1)] ?? 0;
        await rested(Math.max(pause, retryAfterMs(error)), stopped).catch(() => {});
        continue;
      }
      for (const lease of leased) {
        const run = /** @type {Run<Payload>} */ (new Run(leases, lease));
        if (stopped.aborted) {
          await leases.release(lease.token, STOPPED);
          continue;
        }
        running.add(run);
        try {
          await run.finish(handler);
        } finally {
          running.delete(run);
        }
      }
    }
  }

  try {
    await Promise.all(Array.from({ length: concurrency }, () => one().finally(() => stop.abort())));
  } finally {
    clearTimeout(timer);
    stopped.removeEventListener("abort", end);
  }
}
