// Calls of a remote worker: it leases jobs, renews its leases, stores steps and artefacts, and says how a run ended.
import { artifactBody } from "./upload.js";

/** @import { components } from "./openapi.js" */
/** @import { Wire } from "./wire.js" */
/** @typedef {components["schemas"]} Schemas */
/** @typedef {Schemas["GrantedLease"]} Lease */
/** @typedef {{ signal?: AbortSignal | undefined }} Abort */

/** What is done with leases; a call about one that is lost throws LeaseLost. */
export class Leases {
  #wire;

  /** @param {Wire} wire */
  constructor(wire) {
    this.#wire = wire;
  }

  /**
   * At most `max` jobs of these types, once there is one; none after `waitSeconds` (at most 60).
   * @param {string[]} types @param {string} worker
   * @param {Abort & { max?: number, waitSeconds?: number, patienceMs?: number }} [options] @returns {Promise<Lease[]>}
   */
  async take(types, worker, { max = 1, waitSeconds = 0, patienceMs, signal } = {}) {
    const body = { types, worker, max, waitSeconds };
    const answer = await this.#wire.ask("POST", "/api/leases", { body, signal, patienceMs, waitsMs: waitSeconds * 1000 });
    return answer.leases;
  }

  /**
   * A renewal, with what there is to tell: `progress` is 0 to 100.
   * @param {string} token @param {Schemas["NewsAsk"]} [news] @param {Abort} [options] @returns {Promise<Schemas["Renewed"]>}
   */
  renew(token, news = {}, { signal } = {}) {
    return this.#wire.ask("PUT", path(token), { body: news, signal });
  }

  /**
   * A step's result: stored at once, and given to a later lease of the job.
   * @param {string} token @param {string} name @param {unknown} result @param {Abort} [options] @returns {Promise<Schemas["StepStored"]>}
   */
  step(token, name, result, { signal } = {}) {
    return this.#wire.ask("PUT", `${path(token)}/steps/${encodeURIComponent(name)}`, { body: { result }, signal });
  }

  /**
   * A file (its path) or bytes as an artefact of the job: whole, or not there.
   * @param {string} token @param {string} name @param {string | Uint8Array} content @param {Abort} [options]
   * @returns {Promise<Schemas["ArtifactStored"]>}
   */
  artifact(token, name, content, { signal } = {}) {
    const upload = () => artifactBody(content);
    return this.#wire.ask("PUT", `${path(token)}/artifacts/${encodeURIComponent(name)}`, { upload, signal });
  }

  /**
   * All is done. The same call again is answered the same, as with all that end a run.
   * @param {string} token @param {unknown} result @param {Abort} [options] @returns {Promise<Schemas["Settled"]>}
   */
  complete(token, result, { signal } = {}) {
    return this.#wire.ask("POST", `${path(token)}/complete`, { body: { result: result ?? null }, signal });
  }

  /**
   * A part is done, `missing` is not.
   * @param {string} token @param {unknown} result @param {unknown[]} missing @param {Abort} [options]
   * @returns {Promise<Schemas["Settled"]>}
   */
  partial(token, result, missing, { signal } = {}) {
    return this.#wire.ask("POST", `${path(token)}/partial`, { body: { result: result ?? null, missing }, signal });
  }

  /**
   * It failed: `transient` and `timeout` are tried again, no sooner than `retryAfterSeconds`.
   * @param {string} token @param {Schemas["ErrorAsk"]} error @param {Abort & { retryAfterSeconds?: number | undefined }} [options]
   * @returns {Promise<Schemas["Settled"]>}
   */
  fail(token, error, { retryAfterSeconds, signal } = {}) {
    const told = { ...error, type: error.type.slice(0, 100) || "failed", message: error.message.slice(0, 10_000) };
    return this.#wire.ask("POST", `${path(token)}/fail`, { body: { error: told, retryAfterSeconds }, signal });
  }

  /**
   * It goes back, at no cost.
   * @param {string} token @param {string} reason @param {Abort} [options] @returns {Promise<Schemas["Settled"]>}
   */
  release(token, reason, { signal } = {}) {
    return this.#wire.ask("POST", `${path(token)}/release`, { body: { reason: reason.slice(0, 10_000) }, signal });
  }
}

/** @param {string} token */
function path(token) {
  return `/api/leases/${encodeURIComponent(token)}`;
}
