// Webhook receiver (Standard Webhooks): signature, replay window, repeats, and epochs older than one that came.
import { createHmac, timingSafeEqual } from "node:crypto";
import { WebhookRefused } from "./errors.js";

/** @import { components } from "./openapi.js" */
/** @typedef {components["schemas"]["JobEnded"] | components["schemas"]["BatchEnded"]} Ended */
/** @typedef {{ id: string, sentAt: number, epoch: number, about: string, content: Ended }} Callback
 * What the daemon told: `id` is the same each time it is sent, `epoch` grows with each run of the job, `about` is the
 * job or the batch that has ended. */
/** @typedef {Record<string, string | string[] | undefined>} Headers A request's, with names in lower case, as Node has them. */
/** @typedef {{ now?: () => number, toleranceMs?: number }} Window */

const REMEMBERED = 10_000;

/**
 * The callback, if one of these secrets signed it and it is not older than five minutes; else WebhookRefused.
 * During a rotation give the old secret and the new one.
 * @param {Headers} headers @param {string | Buffer} body The request's, byte for byte.
 * @param {string | string[]} secret @param {Window} [window] @returns {Callback}
 */
export function verify(headers, body, secret, { now = Date.now, toleranceMs = 300_000 } = {}) {
  const id = String(headers["webhook-id"] ?? "");
  const at = String(headers["webhook-timestamp"] ?? "");
  if (!id || !/^\d{1,15}$/.test(at)) {
    throw new WebhookRefused("webhook-id or webhook-timestamp is missing: this is no callback of Second Unit");
  }
  const given = String(headers["webhook-signature"] ?? "").split(" ").filter((word) => word.startsWith("v1,"));
  const signed = [secret].flat().map((one) => signature(one, id, at, body));
  if (!given.some((word) => signed.some((one) => same(one, Buffer.from(word.slice(3), "base64"))))) {
    throw new WebhookRefused("webhook-signature was not made with CALLBACK_SECRET, or the body was changed");
  }
  if (Math.abs(now() - Number(at) * 1000) > toleranceMs) {
    throw new WebhookRefused(`webhook-timestamp is more than ${toleranceMs / 1000} s away: replayed, or a clock is wrong`);
  }
  const epoch = String(headers["secondunit-epoch"] ?? "");
  if (!/^\d+$/.test(epoch)) throw new WebhookRefused("Secondunit-Epoch is missing");
  let content;
  try {
    content = JSON.parse(body.toString());
  } catch (error) {
    throw new WebhookRefused("the body is no JSON", { cause: error });
  }
  return { id, sentAt: Number(at), epoch: Number(epoch), about: content.jobId ?? content.batchId, content };
}

/** Takes callbacks and remembers the last 10,000; where several processes take them, keep ids in a database. */
export class Receiver {
  /** @type {Map<string, number>} */
  #ids = new Map();
  /** @type {Map<string, number>} */
  #epochs = new Map();
  #secret;
  #window;

  /** @param {string | string[]} secret @param {Window} [window] */
  constructor(secret, window = {}) {
    this.#secret = secret;
    this.#window = window;
  }

  /**
   * The callback, and what to do: act on a "new" one; a "repeated" or "outdated" one is answered with 2xx, no more.
   * @param {Headers} headers @param {string | Buffer} body
   * @returns {Callback & { verdict: "new" | "repeated" | "outdated" }}
   */
  receive(headers, body) {
    const callback = verify(headers, body, this.#secret, this.#window);
    const { id, about, epoch } = callback;
    if (this.#ids.has(id)) return { ...callback, verdict: "repeated" };
    remember(this.#ids, id, epoch);
    if (epoch < (this.#epochs.get(about) ?? 0)) return { ...callback, verdict: "outdated" };
    remember(this.#epochs, about, epoch);
    return { ...callback, verdict: "new" };
  }

  /** Acting on it failed: answer 500, so that it comes again, and as a "new" one. @param {string} id */
  forget(id) {
    this.#ids.delete(id);
  }
}

/** @param {string} secret @param {string} id @param {string} at @param {string | Buffer} body */
function signature(secret, id, at, body) {
  if (!secret || secret === "whsec_") {
    throw new WebhookRefused("the secret is empty, and anybody could sign with it; is CALLBACK_SECRET set here?");
  }
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret);
  return createHmac("sha256", key).update(`${id}.${at}.`).update(body).digest();
}

/** @param {Buffer} one @param {Buffer} other */
function same(one, other) {
  return one.length === other.length && timingSafeEqual(one, other);
}

/** @param {Map<string, number>} kept @param {string} name @param {number} epoch */
function remember(kept, name, epoch) {
  kept.delete(name);
  kept.set(name, epoch);
  const [oldest] = kept.keys();
  if (kept.size > REMEMBERED && oldest !== undefined) kept.delete(oldest);
}
