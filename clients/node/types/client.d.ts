/**
 * The daemon's API at `url`; answers are its JSON, refusals are thrown as `Refused`.
 *
 * `patienceMs` is how long a call may wait in all for a daemon that is away, full or limits the rate; `timeoutMs` is
 * how long one request may be silent. With job types of your own: `Client<Submit | { type: "mine", payload: Mine }>`.
 *
 * @template {{ type: string, payload: unknown }} [Jobs=Submit]
 */
export class Client<Jobs extends {
    type: string;
    payload: unknown;
} = {
    type: "analyze";
    payload: components["schemas"]["AnalyzePayload"];
    priority?: number | null;
    callback?: string | null;
    retryPolicy?: components["schemas"]["RetryAsk"] | null;
    runAt?: string | null;
    timeoutSeconds?: number | null;
    dependsOn?: string[] | null;
    onParentFailure?: ("fail" | "cancel" | "run") | null;
} | {
    type: "deploy";
    payload: components["schemas"]["DeployPayload"];
    priority?: number | null;
    callback?: string | null;
    retryPolicy?: components["schemas"]["RetryAsk"] | null;
    runAt?: string | null;
    timeoutSeconds?: number | null;
    dependsOn?: string[] | null;
    onParentFailure?: ("fail" | "cancel" | "run") | null;
} | {
    type: "download";
    payload: components["schemas"]["DownloadPayload"];
    priority?: number | null;
    callback?: string | null;
    retryPolicy?: components["schemas"]["RetryAsk"] | null;
    runAt?: string | null;
    timeoutSeconds?: number | null;
    dependsOn?: string[] | null;
    onParentFailure?: ("fail" | "cancel" | "run") | null;
} | {
    type: "hls";
    payload: components["schemas"]["HlsPayload"];
    priority?: number | null;
    callback?: string | null;
    retryPolicy?: components["schemas"]["RetryAsk"] | null;
    runAt?: string | null;
    timeoutSeconds?: number | null;
    dependsOn?: string[] | null;
    onParentFailure?: ("fail" | "cancel" | "run") | null;
} | {
    type: "locations";
    payload: components["schemas"]["LocationsPayload"];
    priority?: number | null;
    callback?: string | null;
    retryPolicy?: components["schemas"]["RetryAsk"] | null;
    runAt?: string | null;
    timeoutSeconds?: number | null;
    dependsOn?: string[] | null;
    onParentFailure?: ("fail" | "cancel" | "run") | null;
} | {
    type: "thumbnail";
    payload: components["schemas"]["ThumbnailPayload"];
    priority?: number | null;
    callback?: string | null;
    retryPolicy?: components["schemas"]["RetryAsk"] | null;
    runAt?: string | null;
    timeoutSeconds?: number | null;
    dependsOn?: string[] | null;
    onParentFailure?: ("fail" | "cancel" | "run") | null;
} | {
    type: "webp";
    payload: components["schemas"]["WebpPayload"];
    priority?: number | null;
    callback?: string | null;
    retryPolicy?: components["schemas"]["RetryAsk"] | null;
    runAt?: string | null;
    timeoutSeconds?: number | null;
    dependsOn?: string[] | null;
    onParentFailure?: ("fail" | "cancel" | "run") | null;
}> {
    /** @param {string} url @param {{ apiKey?: string | undefined, patienceMs?: number, timeoutMs?: number }} [options] */
    constructor(url: string, { apiKey, patienceMs, timeoutMs }?: {
        apiKey?: string | undefined;
        patienceMs?: number;
        timeoutMs?: number;
    });
    /** The single calls of a remote worker. */
    leases: Leases;
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
    work<Payload = any>(types: string[], handler: (run: Run<Payload>) => unknown, { worker, concurrency, waitSeconds, graceMs, signal }?: Abort & {
        worker?: string;
        concurrency?: number;
        waitSeconds?: number;
        graceMs?: number;
    }): Promise<void>;
    /**
     * A job, accepted once however often the request had to be sent.
     * @param {Jobs} job @param {Abort & { idempotencyKey?: string }} [options] @returns {Promise<Schemas["Accepted"]>}
     */
    submit(job: Jobs, { idempotencyKey, signal }?: Abort & {
        idempotencyKey?: string;
    }): Promise<Schemas["Accepted"]>;
    /**
     * Up to 1,000 jobs, all of them accepted or none; `ref` names one for the others' `dependsOn`.
     * @param {{ jobs: (Jobs & { ref?: string, dependsOn?: string[] })[], callback?: string, name?: string }} batch
     * @param {Abort & { idempotencyKey?: string }} [options] @returns {Promise<Schemas["Batch"]>}
     */
    submitBatch(batch: {
        jobs: (Jobs & {
            ref?: string;
            dependsOn?: string[];
        })[];
        callback?: string;
        name?: string;
    }, { idempotencyKey, signal }?: Abort & {
        idempotencyKey?: string;
    }): Promise<Schemas["Batch"]>;
    /** The job as it stands. @param {string} jobId @param {Abort} [options] @returns {Promise<Schemas["Job"]>} */
    get(jobId: string, { signal }?: Abort): Promise<Schemas["Job"]>;
    /**
     * A page of jobs, newest first; `cursor` is the last page's `nextCursor`. One that is not full is the last only if its
     * `nextCursor` is null: pages of large jobs end early.
     * @param {NonNullable<operations["jobs.find"]["parameters"]["query"]>} [query] @param {Abort} [options]
     * @returns {Promise<Schemas["Jobs"]>}
     */
    list(query?: NonNullable<operations["jobs.find"]["parameters"]["query"]>, { signal }?: Abort): Promise<Schemas["Jobs"]>;
    /**
     * Every job that matches, newest first, page after page; `limit` is a page's.
     * @param {NonNullable<operations["jobs.find"]["parameters"]["query"]>} [query] @param {Abort} [options]
     * @returns {AsyncGenerator<Schemas["Job"], void>}
     */
    each(query?: NonNullable<operations["jobs.find"]["parameters"]["query"]>, { signal }?: Abort): AsyncGenerator<Schemas["Job"], void>;
    /**
     * The job is cancelled, its processes are gone; one that was already is, too: who asks twice need not know of an
     * answer that was lost.
     * @param {string} jobId @param {Abort} [options] @returns {Promise<Schemas["Moved"]>}
     */
    cancel(jobId: string, { signal }?: Abort): Promise<Schemas["Moved"]>;
    /**
     * The ended job is queued again, with fresh attempts; once, however often it had to be asked for.
     * @param {string} jobId @param {Abort} [options] @returns {Promise<Schemas["Moved"]>}
     */
    retry(jobId: string, { signal }?: Abort): Promise<Schemas["Moved"]>;
    /** Why the job is where it is. @param {string} jobId @param {Abort} [options] @returns {Promise<Schemas["Explained"]>} */
    explain(jobId: string, { signal }?: Abort): Promise<Schemas["Explained"]>;
    /** The daemons that share the queue, by name. @param {Abort} [options] @returns {Promise<Schemas["QueueBoxes"]>} */
    boxes({ signal }?: Abort): Promise<Schemas["QueueBoxes"]>;
    /**
     * An analysis of what is at an address: with its recipe if that is known, else the job to `wait` for.
     * @param {string} videoUrl @param {Abort} [options] @returns {Promise<Schemas["Analysis"]>}
     */
    analyzeUrl(videoUrl: string, { signal }?: Abort): Promise<Schemas["Analysis"]>;
    /**
     * An analysis of a file, which is sent; `onProgress` is told the bytes that were and all there are.
     * @param {string} file @param {Abort & { onProgress?: (sent: number, size: number) => void }} [options]
     * @returns {Promise<Schemas["Analysis"]>}
     */
    analyzeFile(file: string, { signal, onProgress }?: Abort & {
        onProgress?: (sent: number, size: number) => void;
    }): Promise<Schemas["Analysis"]>;
    /**
     * The job, once it has ended, whatever came of it: by its events, and by looking where no stream is to be had.
     * @param {string} jobId
     * @param {Abort & { timeoutMs?: number, pollMs?: number, onEvent?: (message: Message | Now) => void }} [options]
     *   `onEvent` gets the job as it stands first, then what happens, or where no stream is to be had each look.
     * @returns {Promise<Schemas["Job"]>}
     */
    wait(jobId: string, { timeoutMs, pollMs, onEvent, signal }?: Abort & {
        timeoutMs?: number;
        pollMs?: number;
        onEvent?: (message: Message | Now) => void;
    }): Promise<Schemas["Job"]>;
    /**
     * Messages of all jobs, or of those of `jobId` or `type`, across connections that break; without end.
     * @param {Abort & { jobId?: string | string[], type?: string | string[], lastEventId?: string }} [options]
     * @returns {AsyncGenerator<Message, void>}
     */
    events({ signal, lastEventId, ...query }?: Abort & {
        jobId?: string | string[];
        type?: string | string[];
        lastEventId?: string;
    }): AsyncGenerator<Message, void>;
    #private;
}
export type Schemas = components["schemas"];
/**
 * A job of one of the types that ship.
 */
export type Submit = Schemas["SubmitAsk"];
export type Message = Schemas["EventMessage"];
/**
 * A job as it stands.
 */
export type Now = Pick<Schemas["Job"], "jobId" | "status" | "progress" | "phase" | "message"> & {
    type: "job:now";
    jobType: string;
};
export type Abort = {
    signal?: AbortSignal | undefined;
};
import type { components } from "./openapi.js";
import { Leases } from "./leases.js";
import type { Run } from "./work.js";
import type { operations } from "./openapi.js";
