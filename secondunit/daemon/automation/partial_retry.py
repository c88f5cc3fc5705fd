"""Scheduler of partial retries: a job that missed something for a passing reason is queued again later, by itself."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from secondunit.queue.clock import Clock
from secondunit.queue.errors import JobNotFound, NotAllowed, Saturated, StoreFull
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.instrumentation import Fact, Sink
from secondunit.queue.model import Event, Filter, Job, JobId, Status
from secondunit.queue.service import Queue
from secondunit.queue.value import Value

WAITS = tuple(timedelta(minutes=minutes) for minutes in (15, 60, 240, 720))
EVERY = 30.0


class DueRetry(Value, frozen=True):
    """The `number`-th time, from 1, that a job is queued again by itself, and when that is due."""

    number: int
    at: datetime


def next_retry(job: Job, may_help: Callable[[Job], bool]) -> DueRetry | None:
    """When to look again for what this job missed; None when that would not help, or was done often enough.

    Each run that ended in part stands in the job's history, which outlives the daemon; one that somebody asked for
    counts, too.
    """
    if job.status is not Status.PARTIAL or job.finished_at is None or not may_help(job):
        return None
    number = sum(run.outcome == "partial" for run in job.runs)
    return DueRetry(number, job.finished_at + WAITS[number - 1]) if 1 <= number <= len(WAITS) else None


class RetriedByItself(Fact, frozen=True):
    """A job that ended in part is queued again by itself, for the `number`-th time; the job as it ended."""

    job: Job
    number: int


class PartialRetrier:
    """The loop, for the types with a `retry_partial`.

    While a type has trouble one job of it at a time goes, to learn when that is over: nothing else might ask.
    """

    def __init__(self, clock: Clock, specs: Iterable[HandlerSpec], emit: Sink) -> None:
        self._clock = clock
        self._emit = emit
        self._may_help = {spec.type: spec.retry_partial for spec in specs if spec.retry_partial}
        self._trouble = {spec.type: spec.trouble for spec in specs}
        self._due: dict[JobId, _Due] = {}
        self._heard: set[JobId] = set()
        self._scouts: dict[str, JobId] = {}
        self._on_duty = False

    def hear(self, events: Sequence[Event]) -> None:
        """A tap of the hub: what ended in part may be due one day. What is not heard in time `run` finds."""
        for event in events if self._on_duty else ():
            if event.job_type in self._may_help and event.status.ended:
                if event.status is Status.PARTIAL:
                    self._heard.add(event.job_id)
                if event.job_id == self._scouts.get(event.job_type):
                    del self._scouts[event.job_type]

    async def run(self, queue: Queue) -> None:
        """Queue again for ever what is due; first of all find what an earlier life, or another box, left."""
        if not self._may_help:
            return
        self._due, self._heard, self._scouts, self._on_duty = {}, set(), {}, True
        try:
            async for job in queue.each(Filter([Status.PARTIAL], list(self._may_help))):
                self._note(job)
            while True:
                await self._round(queue)
                await self._clock.tick(EVERY)
        finally:
            self._on_duty = False

    async def _round(self, queue: Queue) -> None:
        heard, self._heard = self._heard, set()
        for job_id in heard:
            if job := await _found(queue, job_id):
                self._note(job)
        for job_id, due in sorted(self._due.items(), key=lambda due: due[1].at):
            if due.at > self._clock.now() or queue.draining:
                return
            if due.type not in self._scouts or self._trouble[due.type]() is None:
                await self._try(queue, job_id)

    def _note(self, job: Job) -> None:
        if due := next_retry(job, self._may_help[job.type]):
            self._due[job.id] = _Due(job.type, due.at)
        else:
            self._due.pop(job.id, None)

    async def _try(self, queue: Queue, job_id: JobId) -> None:
        """Queue the job again, unless it has moved since it was noted."""
        noted = self._due.pop(job_id)
        job = await _found(queue, job_id)
        due = next_retry(job, self._may_help[job.type]) if job else None
        if job is None or due is None:
            return
        try:
            await queue.retry(job_id)
        except (NotAllowed, JobNotFound):
            return  # it, or another job for the same places, is live again
        except (StoreFull, Saturated):
            self._due[job_id] = noted
            return
        self._scouts[job.type] = job_id
        self._emit(RetriedByItself(job, due.number))


class _Due(Value, frozen=True):
    type: str
    at: datetime


async def _found(queue: Queue, job_id: JobId) -> Job | None:
    try:
        return await queue.get(job_id)
    except JobNotFound:
        return None
