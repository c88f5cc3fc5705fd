"""Leases of remote workers as values: what was leased, what a handler says of its work, and the calls that tell it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from secondunit.client.calls import Call, RawFile
from secondunit.client.errors import ClientError, LeaseLost, NoAnswer, Refused

Kind = Literal["transient", "deterministic", "timeout", "cancelled"]
LONGEST_TOLD = 10_000
SOONEST, RAREST = 0.2, 10.0
TELL_EVERY = 1.0
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)  # before a daemon that is away is asked for jobs again
CANCELLED, STOPPED = "cancelled on request", "the worker stops"


@dataclass(frozen=True, slots=True)
class Lease:
    """A job that is ours until `expires_at`, unless it is renewed; `steps` are results of earlier leases, by names."""

    token: str
    job_id: str
    type: str
    payload: Mapping[str, Any]
    attempt: int
    epoch: int
    expires_at: datetime
    steps: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Partial:
    """What a handler returns that could do a part only; `missing` lists what is not done."""

    result: Any
    missing: Sequence[Any]


class WorkFailed(ClientError):
    """What a handler raises to say how it failed; any other error counts as transient, which is tried again."""

    def __init__(
        self, message: str, *, kind: Kind = "deterministic", type: str = "failed", retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.type = type
        self.retry_after = retry_after


class WorkStopped(ClientError):
    """The handler is to stop: its job is to be cancelled, or the worker ends. Raised within handlers."""


def leases_of(told: Mapping[str, Any]) -> Sequence[Lease]:
    """Those that an answer lists."""
    return [lease_of(one) for one in told["leases"]]


def lease_of(told: Mapping[str, Any]) -> Lease:
    """One of them."""
    until = datetime.fromisoformat(told["expiresAt"]).astimezone(UTC)
    return Lease(
        told["token"],
        told["jobId"],
        told["type"],
        told["payload"],
        told["attempt"],
        told["epoch"],
        until,
        told["steps"],
    )


def take(types: Sequence[str], worker: str, most: int, wait: float) -> Call:
    """At most so many jobs of these types, once there is one; none after `wait` seconds."""
    body = {"types": list(types), "worker": worker, "max": most, "waitSeconds": wait}
    return Call("POST", "/api/leases", body, waits=wait)


def renew(token: str, news: Mapping[str, Any]) -> Call:
    """A renewal, with what there is to tell."""
    return Call("PUT", _path(token), {name: value for name, value in news.items() if value is not None})


def step(token: str, name: str, result: Any) -> Call:
    """A step's result."""
    return Call("PUT", f"{_path(token)}/steps/{quote(name, safe='')}", {"result": result})


def artifact(token: str, name: str, content: Path | bytes) -> Call:
    """A file, or bytes, as an artefact of the job."""
    path = f"{_path(token)}/artifacts/{quote(name, safe='')}"
    if isinstance(content, bytes):
        return Call("PUT", path, content)
    return Call("PUT", path, upload=RawFile(content))


def complete(token: str, result: Any) -> Call:
    """All is done."""
    return Call("POST", f"{_path(token)}/complete", {"result": result})


def partial(token: str, result: Any, missing: Sequence[Any]) -> Call:
    """A part is done."""
    return Call("POST", f"{_path(token)}/partial", {"result": result, "missing": list(missing)})


def fail(token: str, kind: Kind, type: str, message: str, retry_after: float | None = None) -> Call:
    """It failed."""
    error = {"class": kind, "type": type[:100], "message": message[:LONGEST_TOLD]}
    after = {} if retry_after is None else {"retryAfterSeconds": retry_after}
    return Call("POST", f"{_path(token)}/fail", {"error": error, **after})


def release(token: str, reason: str) -> Call:
    """It goes back, at no cost."""
    return Call("POST", f"{_path(token)}/release", {"reason": reason[:LONGEST_TOLD]})


def ending(lease: Lease, result: Any) -> Call:
    """The call that ends a run whose handler returned this."""
    if isinstance(result, Partial):
        return partial(lease.token, result.result, result.missing)
    return complete(lease.token, result)


def failing(lease: Lease, error: BaseException, why: ClientError | None) -> Call | None:
    """The call that ends a run whose handler raised this, told to stop for `why`; none where the lease is lost."""
    match error, why:
        case (LeaseLost(), _) | (_, LeaseLost()):
            return None
        case WorkFailed(), _:
            return fail(lease.token, error.kind, error.type, str(error), error.retry_after)
        case (WorkStopped() as stopped, _) | (
            _,
            WorkStopped() as stopped,
        ):  # one that is cut short raises what it likes
            return release(lease.token, str(stopped))
        case _:
            return fail(lease.token, "transient", type(error).__name__, str(error) or type(error).__name__)


def unstorable(lease: Lease, refused: Refused) -> Call:
    """The call that ends a run whose end can't be stored: a failure of its handler. Any other refusal is raised."""
    if refused.status not in (400, 413, 422):
        raise refused
    return fail(lease.token, "deterministic", "bad_result", str(refused))


def news(percent: float, message: str | None, phase: str | None, stats: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What a handler told of its progress."""
    told = {"progress": percent, "message": message, "phase": phase, "stats": stats}
    return {name: value for name, value in told.items() if value is not None}


def pause_after(error: NoAnswer | Refused, misses: int) -> float:
    """Seconds before jobs are asked for again, after so many misses before this one. What does not pass is raised."""
    pause = PAUSES[min(misses, len(PAUSES) - 1)]
    if isinstance(error, NoAnswer):
        return pause
    if not error.passes:
        raise error
    return max(pause, error.retry_after or 0)


def beat_every(lease: Lease, now: datetime) -> float:
    """Seconds between two renewals: a third of the lease, and never rarely, however wrong the clock is here."""
    return min(max(SOONEST, (lease.expires_at - now).total_seconds() / 3), RAREST)


def _path(token: str) -> str:
    return f"/api/leases/{quote(token, safe='')}"
