/**
 * The callback, if one of these secrets signed it and it is not older than five minutes; else WebhookRefused.
 * During a rotation give the old secret and the new one.
 * @param {Headers} headers @param {string | Buffer} body The request's, byte for byte.
 * @param {string | string[]} secret @param {Window} [window] @returns {Callback}
 */
export function verify(headers: Headers, body: string | Buffer, secret: string | string[], { now, toleranceMs }?: Window): Callback;
/** Takes callbacks and remembers the last 10,000; where several processes take them, keep ids in a database. */
export class Receiver {
    /** @param {string | string[]} secret @param {Window} [window] */
    constructor(secret: string | string[], window?: Window);
    /**
     * The callback, and what to do: act on a "new" one; a "repeated" or "outdated" one is answered with 2xx, no more.
     * @param {Headers} headers @param {string | Buffer} body
     * @returns {Callback & { verdict: "new" | "repeated" | "outdated" }}
     */
    receive(headers: Headers, body: string | Buffer): Callback & {
        verdict: "new" | "repeated" | "outdated";
    };
    /** Acting on it failed: answer 500, so that it comes again, and as a "new" one. @param {string} id */
    forget(id: string): void;
    #private;
}
export type Ended = components["schemas"]["JobEnded"] | components["schemas"]["BatchEnded"];
/**
 * What the daemon told: `id` is the same each time it is sent, `epoch` grows with each run of the job, `about` is the
 * job or the batch that has ended.
 */
export type Callback = {
    id: string;
    sentAt: number;
    epoch: number;
    about: string;
    content: Ended;
};
/**
 * A request's, with names in lower case, as Node has them.
 */
export type Headers = Record<string, string | string[] | undefined>;
export type Window = {
    now?: () => number;
    toleranceMs?: number;
};
import type { components } from "./openapi.js";
