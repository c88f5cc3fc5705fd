/** @import { components } from "./openapi.js" */
/** @import { Wire } from "./wire.js" */
/** @typedef {components["schemas"]} Schemas */
/** @typedef {Schemas["GrantedLease"]} Lease */
/** @typedef {{ signal?: AbortSignal | undefined }} Abort */
/** What is done with leases; a call about one that is lost throws LeaseLost. */
export class Leases {
    /** @param {Wire} wire */
    constructor(wire: Wire);
    /**
     * At most `max` jobs of these types, once there is one; none after `waitSeconds` (at most 60).
     * @param {string[]} types @param {string} worker
     * @param {Abort & { max?: number, waitSeconds?: number, patienceMs?: number }} [options] @returns {Promise<Lease[]>}
     */
    take(types: string[], worker: string, { max, waitSeconds, patienceMs, signal }?: Abort & {
        max?: number;
        waitSeconds?: number;
        patienceMs?: number;
    }): Promise<Lease[]>;
    /**
     * A renewal, with what there is to tell: `progress` is 0 to 100.
     * @param {string} token @param {Schemas["NewsAsk"]} [news] @param {Abort} [options] @returns {Promise<Schemas["Renewed"]>}
     */
    renew(token: string, news?: Schemas["NewsAsk"], { signal }?: Abort): Promise<Schemas["Renewed"]>;
    /**
     * A step's result: stored at once, and given to a later lease of the job.
     * @param {string} token @param {string} name @param {unknown} result @param {Abort} [options] @returns {Promise<Schemas["StepStored"]>}
     */
    step(token: string, name: string, result: unknown, { signal }?: Abort): Promise<Schemas["StepStored"]>;
    /**
     * A file (its path) or bytes as an artefact of the job: whole, or not there.
     * @param {string} token @param {string} name @param {string | Uint8Array} content @param {Abort} [options]
     * @returns {Promise<Schemas["ArtifactStored"]>}
     */
    artifact(token: string, name: string, content: string | Uint8Array, { signal }?: Abort): Promise<Schemas["ArtifactStored"]>;
    /**
     * All is done. The same call again is answered the same, as with all that end a run.
     * @param {string} token @param {unknown} result @param {Abort} [options] @returns {Promise<Schemas["Settled"]>}
     */
    complete(token: string, result: unknown, { signal }?: Abort): Promise<Schemas["Settled"]>;
    /**
     * A part is done, `missing` is not.
     * @param {string} token @param {unknown} result @param {unknown[]} missing @param {Abort} [options]
     * @returns {Promise<Schemas["Settled"]>}
     */
    partial(token: string, result: unknown, missing: unknown[], { signal }?: Abort): Promise<Schemas["Settled"]>;
    /**
     * It failed: `transient` and `timeout` are tried again, no sooner than `retryAfterSeconds`.
     * @param {string} token @param {Schemas["ErrorAsk"]} error @param {Abort & { retryAfterSeconds?: number | undefined }} [options]
     * @returns {Promise<Schemas["Settled"]>}
     */
    fail(token: string, error: Schemas["ErrorAsk"], { retryAfterSeconds, signal }?: Abort & {
        retryAfterSeconds?: number | undefined;
    }): Promise<Schemas["Settled"]>;
    /**
     * It goes back, at no cost.
     * @param {string} token @param {string} reason @param {Abort} [options] @returns {Promise<Schemas["Settled"]>}
     */
    release(token: string, reason: string, { signal }?: Abort): Promise<Schemas["Settled"]>;
    #private;
}
export type Schemas = components["schemas"];
export type Lease = Schemas["GrantedLease"];
export type Abort = {
    signal?: AbortSignal | undefined;
};
import type { Wire } from "./wire.js";
import type { components } from "./openapi.js";
