"""Errors of the client: a problem document (RFC 9457) as a typed error, and what came in place of an answer.

ClientError
  NoAnswer                 nothing came back: refused, cut off, too slow
  Refused                  a problem document, by its status:
    Invalid                400, 413, 415, 422: the request has to be another
    Unauthorized 401, Forbidden 403, NotFound 404, Conflict 409, TooManyRequests 429
      LeaseLost            409 of a lease: somebody else has the job, or nobody
    Unavailable            408 and 5xx: may work later
  WaitTimedOut             the job has not ended in time; it goes on
  WebhookRefused           a callback that is not the daemon's, or is too old
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any


class ClientError(Exception):
    """Anything that this client raises."""


class NoAnswer(ClientError):
    """The daemon gave no answer; what was asked for may have happened, and asking again is safe."""


class WaitTimedOut(ClientError, TimeoutError):
    """The job has not ended in time; it goes on, and can be waited for again."""

    def __init__(self, job_id: str, seconds: float) -> None:
        super().__init__(f"{job_id} has not ended within {seconds:g} s; it goes on")
        self.job_id = job_id


class WebhookRefused(ClientError):
    """A callback that must not be believed; answer it with 401."""


class Refused(ClientError):
    """The daemon said no: `status`, `kind` (the last word of the problem's `type`), `errors` as `{field, message}`.

    `sent` says how often the call was sent; `retry_after` is in seconds; `problem` is all that was told.
    """

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float | None, sent: int) -> None:
        self.status = status
        self.problem = problem
        self.retry_after = retry_after
        self.sent = sent
        self.kind = str(problem.get("type", "")).rpartition("/")[2].rpartition(":")[2]
        self.errors: Sequence[Mapping[str, str]] = problem.get("errors", ())
        faults = [f"{fault['field']}: {fault['message']}" for fault in self.errors]
        told = problem.get("detail") or problem.get("title") or "no reason given"
        super().__init__(f"{status} {'; '.join(faults) or told}")

    @property
    def passes(self) -> bool:
        """Whether asking again may help; an answer about a job that has ended stays what it is."""
        return self.status in PASSING and not self.problem.get("jobId")


class Invalid(Refused):
    """The request has to be another one: see `errors`."""


class Unauthorized(Refused):
    """A valid key is needed."""


class Forbidden(Refused):
    """The key's scope is too small."""


class NotFound(Refused):
    """No such job, or not this key's."""


class Conflict(Refused):
    """The job's status forbids this, or the idempotency key belongs to another request."""


class LeaseLost(Conflict):
    """The lease ran out, or its job was ended, retried or taken back: stop, and write nothing."""


class TooManyRequests(Refused):
    """Over the rate of this key, for longer than the client was patient."""


class Unavailable(Refused):
    """The daemon can't just now: it drains, is full, or its disk is."""


PASSING = (408, 429, 502, 503, 504, 507)
BY_STATUS: Mapping[int, type[Refused]] = {
    **dict.fromkeys((400, 413, 415, 422), Invalid),
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    429: TooManyRequests,
}


def refusal(status: int, body: bytes, retry_after: float | None, sent: int) -> Refused:
    """The error that an answer of 400 or more is; one that is no problem document has its first words as its reason."""
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"detail": body[:200].decode(errors="replace")}
    kind = BY_STATUS.get(status, Unavailable if status >= 500 else Refused)
    error = kind(status, problem, retry_after, sent)
    return LeaseLost(status, problem, retry_after, sent) if error.kind == "lease_lost" else error
