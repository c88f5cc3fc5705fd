"""Dependency moves: what becomes of a job by what the jobs it depends on are. Pure, as `state` is.

waiting --after_parents--> ready | failed | cancelled
failed or cancelled for a parent's sake --after_parents--> waiting, once none of them is failed any more
"""

from collections.abc import Mapping
from datetime import datetime

from secondunit.queue import state
from secondunit.queue.changes import ended, told
from secondunit.queue.errors import NotAllowed
from secondunit.queue.model import Change, Job, JobId, Status
from secondunit.queue.outcome import ErrorClass, JobError
from secondunit.queue.value import replace

PARENT_FAILED = "parent_failed"
SUCCEEDED = (Status.COMPLETED, Status.PARTIAL)


def bound(job: Job, parents: Mapping[JobId, Status]) -> Job:
    """A live job that waits for those of its parents that have not ended."""
    return replace(job, waiting_for=sum(not status.ended for status in parents.values()))


def rejoined(job: Job, parents: Mapping[JobId, Status]) -> Job:
    """A job that is queued again, as its parents let it; NotAllowed when one of them failed and is failed still."""
    if failed := _hindrance(job, parents):
        told = f"{failed}, which it depends on, {_ending(parents[failed])}; retry that one, and this one follows"
        raise NotAllowed(job.id, told)
    return bound(job, parents)


def after_parents(job: Job, parents: Mapping[JobId, Status], now: datetime) -> Change:
    """What a job is to become by what its parents are now; the same answer however often it is asked.

    One that waits is ready once all have ended, and ends as soon as one failed. One that ended for such a parent's sake
    is queued again once none is failed any more. One that runs, or ended by itself, stays.
    """
    failed, waiting = _hindrance(job, parents), bound(job, parents)
    if job.status is Status.RUNNING:
        return Change(waiting)
    if job.status.ended:
        return _beside_parents(job, failed, parents, now)
    if failed:
        error = _parent_failed(job, failed, parents)
        status = Status.CANCELLED if error.kind == "cancelled" else Status.FAILED
        return ended(waiting, status, now, error=error)
    if waiting.waiting_for or not job.waiting_for:
        return Change(waiting)
    ready = replace(waiting, run_at=job.run_at if job.run_at and job.run_at > now else None, updated_at=now)
    return Change(ready, told(ready, "queued", now))


def _beside_parents(job: Job, failed: JobId | None, parents: Mapping[JobId, Status], now: datetime) -> Change:
    if job.error is None or job.error.type != PARENT_FAILED:
        return Change(job)
    if failed:
        error = _parent_failed(job, failed, parents)
        return Change(job if error == job.error else replace(job, error=error, message=error.message))
    change = state.retry(job, now)
    return replace(change, job=bound(change.job, parents))


def _hindrance(job: Job, parents: Mapping[JobId, Status]) -> JobId | None:
    """The first parent that ended so that the job must not run."""
    if job.bonds is None or job.bonds.on_parent_failure == "run":
        return None
    return next((id for id, status in parents.items() if status.ended and status not in SUCCEEDED), None)


def _parent_failed(job: Job, parent: JobId, parents: Mapping[JobId, Status]) -> JobError:
    cancels = job.bonds is not None and job.bonds.on_parent_failure == "cancel"
    kind: ErrorClass = "cancelled" if cancels else "deterministic"
    return JobError(kind, PARENT_FAILED, f"{parent}, which it depends on, {_ending(parents[parent])}")


def _ending(status: Status) -> str:
    return "was cancelled" if status is Status.CANCELLED else "failed"
