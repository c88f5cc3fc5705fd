/**
 * The error that an answer of 400 or more is; one that is no problem document has its first words as its reason.
 * @param {Response} response @param {number} sent
 */
export function refusal(response: Response, sent: number): Promise<Refused>;
/** @typedef {{ type?: string, title?: string, detail?: string, errors?: { field: string, message: string }[], jobId?: string | null }} Problem */
/** Anything that this client throws, but for bad arguments and an abort by the caller's own signal. */
export class ClientError extends Error {
    /** @param {string} message @param {ErrorOptions} [options] */
    constructor(message: string, options?: ErrorOptions);
}
/** The daemon gave no answer; what was asked for may have happened, and asking again is safe. */
export class NoAnswer extends ClientError {
}
/** The job has not ended in time; it goes on, and can be waited for again. */
export class WaitTimedOut extends ClientError {
    /** @param {string} jobId @param {number} ms */
    constructor(jobId: string, ms: number);
    jobId: string;
}
/** A callback that must not be believed; answer it with 401. */
export class WebhookRefused extends ClientError {
}
/** The daemon said no: `status`, `kind` (the last word of the problem's `type`), `errors` as `{field, message}`. */
export class Refused extends ClientError {
    /** @param {number} status @param {Problem} problem @param {number | undefined} retryAfterMs @param {number} sent */
    constructor(status: number, problem: Problem, retryAfterMs: number | undefined, sent: number);
    status: number;
    problem: Problem;
    kind: string;
    errors: {
        field: string;
        message: string;
    }[];
    retryAfterMs: number | undefined;
    /** How often the call was sent. */
    sent: number;
    /** Whether asking again may help; an answer about a job that has ended stays what it is. */
    get passes(): boolean;
}
/** 400, 413, 415, 422: the request has to be another one; see `errors`. */
export class Invalid extends Refused {
}
/** 401: a valid key is needed. */
export class Unauthorized extends Refused {
}
/** 403: the key's scope is too small. */
export class Forbidden extends Refused {
}
/** 404: no such job, or not this key's. */
export class NotFound extends Refused {
}
/** 409: the job's status forbids this, or the idempotency key belongs to another request. */
export class Conflict extends Refused {
}
/** 409 of a lease: it ran out, or its job was ended, retried or taken back. Stop, and write nothing. */
export class LeaseLost extends Conflict {
}
/** 429: over the rate of this key, for longer than the client was patient. */
export class TooManyRequests extends Refused {
}
/** 408 and 5xx: the daemon can't just now; it drains, is full, or its disk is. */
export class Unavailable extends Refused {
}
export type Problem = {
    type?: string;
    title?: string;
    detail?: string;
    errors?: {
        field: string;
        message: string;
    }[];
    jobId?: string | null;
};
