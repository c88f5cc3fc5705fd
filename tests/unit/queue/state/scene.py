"""Jobs in each state, and the moves that lead there."""

from datetime import timedelta
from typing import Any

from secondunit.queue import state
from secondunit.queue.model import Change, Job, Status
from secondunit.queue.outcome import Completed, Failed, JobError, Outcome, Partial, Postpone, Released, Stopped
from secondunit.queue.value import replace
from secondunit.testing.jobs import BOOT, BROKEN, CALLBACK, FLAKY, TTL, NoJitter, later, new

MINUTE = timedelta(minutes=1)
TIMED_OUT = Failed(JobError("timeout", "timeout", "too slow"))
CANCELLED = JobError("cancelled", "cancelled", "cancelled on request")
OUTCOMES: list[Outcome] = [
    Completed(1),
    Partial(1, [2]),
    BROKEN,
    FLAKY,
    TIMED_OUT,
    Postpone(MINUTE, "quota"),
    Released("drain"),
    Stopped(),
]


def queued(**fields: Any) -> Job:
    return new("a", target=CALLBACK, **fields).job


def running(**fields: Any) -> Job:
    return replace(state.start(queued(), BOOT, TTL, later(1)).job, **fields)


def ended(status: Status = Status.FAILED) -> Job:
    return replace(settle(running(), BROKEN).job, status=status)


def settle(job: Job, outcome: Outcome, seconds: float = 10) -> Change:
    return state.settle(job, outcome, NoJitter(), later(seconds))


def happened(change: Change) -> str | None:
    return change.event.name if change.event else None
