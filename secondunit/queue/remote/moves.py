"""Moves of jobs that remote workers run, as pure functions: renewed, settled with a receipt, lost with their worker.

A worker that falls silent may have died of its job. The loss is charged to the job if no other lease was overdue then,
else to nobody: a network or a power cut takes several. The third that is charged with no step finished in between is
poison, and so is the tenth in a row of any.
"""

from datetime import datetime

from secondunit.queue import state
from secondunit.queue.changes import ended, ended_run, requeued
from secondunit.queue.clock import Random
from secondunit.queue.errors import BadPayload, FieldError, LeaseLost
from secondunit.queue.model import Change, Job, Lease, Status
from secondunit.queue.outcome import Deterministic, JobError, Outcome
from secondunit.queue.payloads.arguments import to_json
from secondunit.queue.ports.holders import holder_of
from secondunit.queue.value import Value, replace

CRASHED, CRASHED_IN_A_ROW = "crashed", 10


class News(Value, frozen=True):
    """What a worker tells at a renewal: `progress` from 0 to 1; what is None stays as it was."""

    progress: float | None = None
    phase: str | None = None
    message: str | None = None
    stats: dict[str, object] | None = None

    @property
    def shown(self) -> bool:
        """Whether readers of its progress see something new."""
        return (self.progress, self.phase, self.message) != (None, None, None)


class Receipt(Value, frozen=True):
    """Which call ended a run, and the status that it was answered with."""

    call: str
    status: Status


def held(job: Job, epoch: int, now: datetime) -> Lease:
    """The lease of this epoch, LeaseLost if it holds no more; one that has run out does not, freed or not."""
    lease = job.lease
    if lease is None or lease.epoch != epoch or holder_of(lease.boot) is None or lease.until <= now:
        raise LeaseLost(job.id, epoch)
    return lease


def renewed(job: Job, epoch: int, news: News, until: datetime, now: datetime, boot: str) -> Change:
    """The lease is good until then, as this boot of the daemon heard, and what its worker tells stands in its job.

    BadPayload for too many figures.
    """
    lease = held(job, epoch, now)
    holder = holder_of(lease.boot)
    fraction = job.progress if news.progress is None else news.progress
    message = job.message if news.message is None else news.message
    phase = job.phase if news.phase is None else news.phase
    job = state.progress(job, fraction, message, phase, now).job
    if news.stats:
        job = _with_stats(job, news.stats, now)
    boot = holder.heard(boot) if holder else lease.boot
    return Change(replace(job, lease=replace(lease, until=until, boot=boot)))


def settled(job: Job, outcome: Outcome, call: str, random: Random, now: datetime) -> Change:
    """The worker's own end of a run whose lease is `held`; `call` says which call it was, so that it is known again."""
    change = state.settle(job, outcome, random, now)
    *before, run = change.job.runs
    told = replace(run, receipt=f"{call} {change.job.status}")
    return replace(change, job=replace(change.job, runs=(*before, told)))


def receipt(job: Job, epoch: int) -> Receipt | None:
    """What is kept of the call that ended the run of this epoch."""
    for run in reversed(job.runs):
        if run.epoch == epoch and run.receipt:
            call, _, status = run.receipt.partition(" ")
            return Receipt(call, Status(status))
    return None


def silent(job: Job, alone: bool, now: datetime) -> Change:
    """Nothing was heard of the worker until its lease ran out: queue the job again, or end it as poison."""
    if job.lease is None or job.cancel_requested:
        return state.expire(job, now)
    holder = holder_of(job.lease.boot)
    worker = f"the worker {holder.worker}" if holder else "the worker"
    job = replace(job, reclaims=job.reclaims + 1) if alone else job
    row = _in_a_row(job) + 1
    if job.reclaims >= state.POISON_AFTER or row >= CRASHED_IN_A_ROW:
        times = job.reclaims if job.reclaims >= state.POISON_AFTER else row
        why = f"{times} workers fell silent under this job, {worker} last; retry it once the cause is known"
        return ended(job, Status.FAILED, now, error=JobError("deterministic", "poison", why))
    charged = f", {job.reclaims} of {state.POISON_AFTER} times that this is held against the job" if alone else ""
    why = f"{worker} fell silent and its lease ran out{charged}; the job starts again"
    return requeued(job, "queued", now, ended_run(job, CRASHED, now, why=why), why)


def _with_stats(job: Job, stats: dict[str, object], now: datetime) -> Job:
    job = state.with_stats(job, stats, now).job
    try:
        to_json(job.stats, "all stats together")
    except Deterministic as error:
        raise BadPayload(FieldError("stats", str(error))) from None
    return job


def _in_a_row(job: Job) -> int:
    """How many runs before this one were lost with their workers, one after the other."""
    count = 0
    for run in reversed(job.runs):
        if run.outcome != CRASHED:
            break
        count += 1
    return count
