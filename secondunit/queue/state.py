"""State machine: every move of a job as a pure function from a job to a change. Rules stand here and nowhere else.

queued --start--> running --settle--> completed | partial | failed | cancelled | queued again
                     |-----expire--> queued               the lease ran out, through nobody's fault
                     |-----bury--> queued | failed        the daemon died; queued as a suspect
queued --cancel--> cancelled         running --cancel--> running, asked to stop
ended --retry--> queued              running --recover--> queued, by an operator

What a job's parents do to it stands in `graph/moves.py`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from secondunit.queue.changes import ended, ended_run, requeued, told
from secondunit.queue.clock import Random
from secondunit.queue.errors import LeaseLost, NotAllowed, Saturated
from secondunit.queue.model import DEFAULT_PRIORITY, Change, Event, Job, JobId, Lease, Status, Submission
from secondunit.queue.outcome import Completed, Failed, JobError, Moved, Outcome, Partial, Postpone, Released, Stopped
from secondunit.queue.phases import entered
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.sentences import say
from secondunit.queue.suspicion import past, suspected
from secondunit.queue.value import Value, replace

POISON_AFTER = 3
FULL = "the queue is full (MAX_QUEUED_JOBS); try again later"
OVER_SHARE = "{} jobs of this key are queued and MAX_QUEUED_PER_KEY is {}; try again later"
# The fields that a job takes over from its submission; what it declares itself is worked out in `submit`.
_as_asked = attrgetter(*(name for name in Submission.__struct_fields__ if name not in Job.__annotations__))


class QueueLimits(Value, frozen=True):
    """How many jobs may be queued, in all and of one owner; how many of a type may be `running`, whoever runs them."""

    in_all: int = 1_000_000
    of_one: int = 100_000
    running: Mapping[str, int] = {}

    def check(self, coming: Sequence[Job], queued_of: Callable[[str | None], int]) -> None:
        """Refuse, as Saturated, jobs that are too many beside those that are queued, of an owner or (None) in all."""
        if coming and queued_of(None) + len(coming) > self.in_all:
            raise Saturated(FULL)
        shares = {coming[0].owner: 1} if len(coming) == 1 else Counter(job.owner for job in coming)
        for owner, more in shares.items():
            queued = 0 if owner is None else queued_of(owner)
            if owner is not None and queued + more > self.of_one:
                raise Saturated(OVER_SHARE.format(queued, self.of_one))

    def of(self, coming: Sequence[Job]) -> Sequence[tuple[str | None, int]]:
        """How many may be queued of each owner of these jobs, and in all (None)."""
        owners = {job.owner for job in coming if job.owner is not None}
        return [(None, self.in_all), *((owner, self.of_one) for owner in sorted(owners))] if coming else []

    def check_start(self, before: Job, job: Job, running: Callable[[str], int]) -> None:
        """Refuse, as NotAllowed, a start that is one too many beside so many of its type that run."""
        most = self.running.get(job.type)
        starts = before.status is Status.QUEUED and job.status is Status.RUNNING
        if starts and most is not None and running(job.type) >= most:
            raise NotAllowed(job.id, say("as many {type} jobs run as may over all boxes", type=job.type))


def within(room: Mapping[str, int], overall: Mapping[str, int], running: Callable[[str], int]) -> Mapping[str, int]:
    """The room that is left where no more than `overall` may run of a type and so many do; others keep theirs."""
    return {type: min(n, overall[type] - running(type)) if type in overall else n for type, n in room.items()}


def submit(
    asked: Submission,
    job_id: JobId,
    now: datetime,
    priority: int = DEFAULT_PRIORITY,
    retry: RetryPolicy = RetryPolicy(),
) -> Change:
    """A new job, queued; `priority` and `retry` are its type's, for what the submission leaves open."""
    job = Job(
        *_as_asked(asked),
        id=job_id,
        status=Status.QUEUED,
        priority=priority if asked.priority is None else asked.priority,
        retry=asked.retry or retry,
        created_at=now,
        updated_at=now,
    )
    return Change(job, told(job, "queued", now))


def share(job: Job, now: datetime) -> Change:
    """One more caller waits for this job, if it is live."""
    return Change(job if job.status.ended else replace(job, sharers=job.sharers + 1, updated_at=now))


def start(job: Job, boot: str, ttl: timedelta, now: datetime) -> Change:
    """Lease a queued job to this boot under a new epoch.

    One that waited for others starts no sooner than they ended: a claim asked for before may come after their ends.
    """
    if job.status is not Status.QUEUED:
        raise NotAllowed(job.id, say("a {status} job can't start", status=say(job.status.value)))
    if job.waiting_for:
        raise NotAllowed(job.id, say("it waits for {n} jobs that it depends on", n=job.waiting_for))
    epoch = job.epoch + 1
    began = max(now, job.updated_at) if job.depends_on else now
    job = replace(
        job,
        status=Status.RUNNING,
        epoch=epoch,
        lease=Lease(job.id, epoch, boot, now + ttl),
        run_at=None,
        started_at=began,
        first_started_at=job.first_started_at or began,
        updated_at=began,
        progress=0.0,
        phase=None,
        message=None,
        entered_at=None,
        phases=(),
    )
    return Change(job, started(job, began))


def started(job: Job, now: datetime) -> Event:
    """What readers are told of a job that was just leased."""
    return told(job, "started", now)


def progress(job: Job, fraction: float, message: str | None, phase: str | None, now: datetime) -> Change:
    """How far the run is; never further back than it was."""
    fraction = max(job.progress, min(fraction, 1.0))
    job = cleared(job, now).job if past(job, fraction) else job
    job = job if phase == job.phase else replace(job, entered_at=now, phases=entered(job.phases, phase, now))
    return Change(replace(job, progress=fraction, message=message, phase=phase, updated_at=now))


def alive(job: Job, now: datetime) -> Change:
    """A run that has nothing to tell gave a sign of life."""
    return Change(replace(job, updated_at=now))


def progressed(job: Job, now: datetime) -> Event:
    """What live readers are told of a run's progress."""
    return told(job, "progress", now)


def settle(job: Job, outcome: Outcome, random: Random, now: datetime, took: timedelta | None = None) -> Change:
    """End the run that holds the job's lease; a wish to cancel wins over everything but finished work.

    `took` is how long it ran, by a clock that is never set.
    """
    match outcome:
        case Completed(result):
            return ended(job, Status.COMPLETED, now, took, result=result, progress=1.0)
        case Partial(result, missing):
            return ended(job, Status.PARTIAL, now, took, result=result, missing=missing, progress=1.0)
        case Stopped():
            return _cancelled(job, now, took)
        case _ if job.cancel_requested:
            return _cancelled(job, now, took)
        case Failed(error, asked):
            delay = job.retry.delay(job.attempt, random) if outcome.retryable else None
            if delay is None:
                return ended(job, Status.FAILED, now, took, error=error)
            delay = max(delay, asked or delay)
            again = replace(job, attempt=job.attempt + 1, error=error)
            run = ended_run(job, "failed", now, took, error)
            return requeued(again, "retrying", now, run, error.message, now + delay)
        case Postpone(delay, why):
            waits = replace(job, interruptions=job.interruptions + 1)
            return requeued(waits, "queued", now, ended_run(job, "postponed", now, took, why=why), why, now + delay)
        case Released(why) | Moved(why=why):
            box = outcome.box if isinstance(outcome, Moved) else job.box
            back = replace(job, interruptions=job.interruptions + 1, box=box)
            return requeued(back, "queued", now, ended_run(job, "interrupted", now, took, why=why), why)


def expire(job: Job, now: datetime) -> Change:
    """The lease ran out (a lag, a pause, a clock that was set, a forced stop): queue the job again, at no cost."""
    if job.lease is None:
        raise LeaseLost(job.id, job.epoch)
    if job.cancel_requested:
        return _cancelled(job, now)
    why = "the run was lost, through no fault of the job; it starts again"
    return requeued(job, "queued", now, ended_run(job, "lost", now, why=why), why)


def bury(job: Job, beside: int, guilty: bool, now: datetime) -> Change:
    """The daemon died while this job and `beside` others ran: queue it again as a suspect, or end it as poison.

    The death is charged to the job if it is `guilty`: nobody else can have been the cause.
    """
    if job.lease is None:
        raise LeaseLost(job.id, job.epoch)
    if job.cancel_requested:
        return _cancelled(job, now)
    suspicion = suspected(job, job.lease, beside)
    took = min(now, job.lease.until) - (job.started_at or now)
    if not guilty:
        why = f"the daemon died while this job and {beside} more ran; not held against it, it starts again on its own"
        back = replace(job, suspicion=suspicion)
        return requeued(back, "queued", now, ended_run(job, "lost", now, took, why=why), why)
    job = replace(job, reclaims=job.reclaims + 1)
    if job.reclaims >= POISON_AFTER:
        why = f"the daemon died {job.reclaims} times under this job alone; retry it once the cause is known"
        return ended(job, Status.FAILED, now, took, error=JobError("deterministic", "poison", why))
    why = f"the daemon died under this job alone, {job.reclaims} of {POISON_AFTER} times; it starts again on its own"
    back = replace(job, suspicion=suspicion)
    return requeued(back, "queued", now, ended_run(job, "crashed", now, took, why=why), why)


def cleared(job: Job, now: datetime) -> Change:
    """The run is past the point where the daemon died: the job is no suspect any more."""
    return Change(replace(job, suspicion=None, updated_at=now))


def recover(job: Job, now: datetime, epoch: int | None = None) -> Change:
    """An operator takes a running job away from its run, the one of `epoch` if that is said, and queues it again."""
    if job.lease is None:
        raise NotAllowed(job.id, say("it is {status}, not running", status=say(job.status.value)))
    if epoch not in (None, job.epoch):
        raise NotAllowed(job.id, f"the run of epoch {epoch} is over, and the one of epoch {job.epoch} was not meant")
    if job.cancel_requested:
        return _cancelled(job, now)
    back = replace(job, epoch=job.epoch + 1, interruptions=job.interruptions + 1)
    return requeued(back, "queued", now, ended_run(job, "recovered", now), "recovered by an operator")


def cancel(job: Job, now: datetime) -> Change:
    """Cancel a waiting job at once; ask a running one to stop."""
    if job.status.ended:
        raise NotAllowed(job.id, say("it is {status} already", status=say(job.status.value)))
    if job.sharers > 1:
        raise NotAllowed(job.id, say("{n} callers share it", n=job.sharers))
    if job.status is Status.RUNNING:
        return Change(replace(job, cancel_requested=True, updated_at=now))
    return _cancelled(job, now)


def hasten(job: Job, now: datetime) -> Change:
    """What a job was postponed for is over: it may start at once. No event: nothing happened that its readers await."""
    if job.status is not Status.QUEUED or job.run_at is None:
        raise NotAllowed(job.id, "it does not wait for a time")
    return Change(replace(job, run_at=None, updated_at=now))


def retry(job: Job, now: datetime) -> Change:
    """Queue an ended job again with all its attempts; finished steps stay finished."""
    if not job.status.ended:
        raise NotAllowed(job.id, say("it is {status}; only an ended job can be retried", status=say(job.status.value)))
    job = replace(
        job,
        status=Status.QUEUED,
        attempt=1,
        reclaims=0,
        cancel_requested=False,
        progress=0.0,
        phase=None,
        message=None,
        result=None,
        missing=None,
        error=None,
        run_at=None,
        started_at=None,
        finished_at=None,
        sharers=1,
        updated_at=now,
    )
    return Change(job, told(job, "queued", now))


def bind(job: Job, box: str, now: datetime) -> Change:
    """The run's input is a file of this box: later runs stay here."""
    return Change(replace(job, box=box, updated_at=now))


def step_done(job: Job, now: datetime) -> Change:
    """A step's result was stored: the job moves, so earlier deaths of the daemon don't count against it."""
    return Change(replace(job, reclaims=0, suspicion=None, entered_at=now, updated_at=now))


def with_stats(job: Job, stats: dict[str, Any], now: datetime) -> Change:
    """Figures the handler reports about its work."""
    return Change(replace(job, stats={**(job.stats or {}), **stats}, updated_at=now))


def in_doubt(job: Job, step: str, sends: int, now: datetime) -> Change:
    """A paid step was found sent so often without an answer: its figure shows that with the job."""
    doubts = {**(job.stats or {}).get("in_doubt", {}), step: sends}
    return with_stats(job, {"in_doubt": doubts}, now)


def _cancelled(job: Job, now: datetime, took: timedelta | None = None) -> Change:
    error = JobError("cancelled", "cancelled", "cancelled on request")
    return ended(job, Status.CANCELLED, now, took, error=error)
