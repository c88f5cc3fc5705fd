/**
 * Serve these types with `handler`, so many jobs at once, until `signal` aborts: what runs then has `graceMs`, and goes
 * back at no cost if it takes longer.
 * @template Payload
 * @param {Leases} leases @param {string[]} types @param {(run: Run<Payload>) => unknown} handler
 * @param {{ worker: string, concurrency: number, waitSeconds: number, graceMs: number, signal?: AbortSignal | undefined }} options
 */
export function serve<Payload>(leases: Leases, types: string[], handler: (run: Run<Payload>) => unknown, { worker, concurrency, waitSeconds, graceMs, signal }: {
    worker: string;
    concurrency: number;
    waitSeconds: number;
    graceMs: number;
    signal?: AbortSignal | undefined;
}): Promise<void>;
/** What a handler throws to say how it failed; any other error counts as transient, which is tried again. */
export class WorkFailed extends ClientError {
    /**
     * @param {string} message
     * @param {{ class?: "transient" | "deterministic" | "timeout", type?: string, retryAfterSeconds?: number }} [how]
     */
    constructor(message: string, { class: kind, type, retryAfterSeconds }?: {
        class?: "transient" | "deterministic" | "timeout";
        type?: string;
        retryAfterSeconds?: number;
    });
    class: "deterministic" | "timeout" | "transient";
    type: string;
    retryAfterSeconds: number | undefined;
}
/** Why a handler was told to stop: its job is to be cancelled, or the worker ends. */
export class WorkStopped extends ClientError {
}
/** What a handler returns that could do a part only. */
export class Partial {
    /** @param {unknown} result @param {unknown[]} missing */
    constructor(result: unknown, missing: unknown[]);
    result: unknown;
    missing: unknown[];
}
/**
 * A job in its handler's hands. `signal` aborts when the handler is to stop, with the reason: WorkStopped, LeaseLost.
 * @template [Payload=any]
 */
export class Run<Payload = any> {
    /** @param {Leases} leases @param {Lease} lease */
    constructor(leases: Leases, lease: Lease);
    lease: {
        token: string;
        jobId: string;
        type: string;
        payload: Record<string, never>;
        attempt: number;
        epoch: number;
        expiresAt: string;
        steps: Record<string, never>;
    };
    jobId: string;
    payload: Payload;
    /** @type {AbortSignal} */
    signal: AbortSignal;
    /**
     * What `work` returns, stored at once; what an earlier lease of the job stored is not done again.
     * @template T @param {string} name @param {() => T | Promise<T>} work @returns {Promise<T>}
     */
    step<T>(name: string, work: () => T | Promise<T>): Promise<T>;
    /** How far it is (0 to 100), told once a second at most. @param {number} progress @param {Omit<News, "progress">} [news] */
    progress(progress: number, news?: Omit<News, "progress">): void;
    /** A file (its path) or bytes as an artefact of the job. @param {string} name @param {string | Uint8Array} content */
    artifact(name: string, content: string | Uint8Array): Promise<{
        jobId: string;
        name: string;
        size: number;
        sha256: string;
    }>;
    /** The handler is to stop. @param {Error} why */
    stop(why: Error): void;
    /** Run the handler, renewing all the while, and say how it ended. @param {(run: Run<Payload>) => unknown} handler */
    finish(handler: (run: Run<Payload>) => unknown): Promise<void>;
    #private;
}
export type News = Schemas["NewsAsk"];
import type { Leases } from "./leases.js";
import { ClientError } from "./errors.js";
import type { Lease } from "./leases.js";
import type { Schemas } from "./leases.js";
