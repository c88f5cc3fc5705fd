// Errors of the client: a problem document (RFC 9457) as a typed error, and what came in place of an answer.

/** @typedef {{ type?: string, title?: string, detail?: string, errors?: { field: string, message: string }[], jobId?: string | null }} Problem */

/** Anything that this client throws, but for bad arguments and an abort by the caller's own signal. */
export class ClientError extends Error {
  /** @param {string} message @param {ErrorOptions} [options] */
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The daemon gave no answer; what was asked for may have happened, and asking again is safe. */
export class NoAnswer extends ClientError {}

/** The job has not ended in time; it goes on, and can be waited for again. */
export class WaitTimedOut extends ClientError {
  /** @param {string} jobId @param {number} ms */
  constructor(jobId, ms) {
    super(`${jobId} has not ended within ${ms / 1000} s; it goes on`);
    this.jobId = jobId;
  }
}

/** A callback that must not be believed; answer it with 401. */
export class WebhookRefused extends ClientError {}

const PASSING = [408, 429, 502, 503, 504, 507];

/** The daemon said no: `status`, `kind` (the last word of the problem's `type`), `errors` as `{field, message}`. */
export class Refused extends ClientError {
  /** @param {number} status @param {Problem} problem @param {number | undefined} retryAfterMs @param {number} sent */
  constructor(status, problem, retryAfterMs, sent) {
    const faults = (problem.errors ?? []).map(({ field, message }) => `${field}: ${message}`).join("; ");
    super(`${status} ${faults || problem.detail || problem.title || "no reason given"}`);
    this.status = status;
    this.problem = problem;
    this.kind = problem.type?.split(/[:/]/).at(-1) ?? "";
    this.errors = problem.errors ?? [];
    this.retryAfterMs = retryAfterMs;
    /** How often the call was sent. */
    this.sent = sent;
  }

  /** Whether asking again may help; an answer about a job that has ended stays what it is. */
  get passes() {
    return PASSING.includes(this.status) && !this.problem.jobId;
  }
}

/** 400, 413, 415, 422: the request has to be another one; see `errors`. */
export class Invalid extends Refused {}
/** 401: a valid key is needed. */
export class Unauthorized extends Refused {}
/** 403: the key's scope is too small. */
export class Forbidden extends Refused {}
/** 404: no such job, or not this key's. */
export class NotFound extends Refused {}
/** 409: the job's status forbids this, or the idempotency key belongs to another request. */
export class Conflict extends Refused {}
/** 409 of a lease: it ran out, or its job was ended, retried or taken back. Stop, and write nothing. */
export class LeaseLost extends Conflict {}
/** 429: over the rate of this key, for longer than the client was patient. */
export class TooManyRequests extends Refused {}
/** 408 and 5xx: the daemon can't just now; it drains, is full, or its disk is. */
export class Unavailable extends Refused {}

/** @type {Record<number, typeof Refused>} */
const BY_STATUS = {
  400: Invalid, 401: Unauthorized, 403: Forbidden, 404: NotFound, 408: Unavailable, 409: Conflict,
  413: Invalid, 415: Invalid, 422: Invalid, 429: TooManyRequests,
};

/**
 * The error that an answer of 400 or more is; one that is no problem document has its first words as its reason.
 * @param {Response} response @param {number} sent
 */
export async function refusal(response, sent) {
  const text = await response.text();
  let problem;
  try {
    problem = JSON.parse(text);
  } catch {}
  if (typeof problem !== "object" || problem === null) problem = { detail: text.slice(0, 200) };
  const lost = response.status === 409 && String(problem.type).endsWith("lease_lost");
  const kind = lost ? LeaseLost : (BY_STATUS[response.status] ?? (response.status >= 500 ? Unavailable : Refused));
  return new kind(response.status, problem, pauseMs(response.headers), sent);
}

/** What Retry-After says, in seconds or as a date, which is held to the answer's own. @param {Headers} headers */
function pauseMs(headers) {
  const told = headers.get("retry-after") ?? "";
  if (/^\d+$/.test(told)) return Number(told) * 1000;
  const until = Date.parse(told) - Date.parse(headers.get("date") ?? "");
  return until >= 0 ? until : undefined;
}
