"""Looks again, by itself and later, for the places that failed for a passing reason: a partial job is queued again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from secondunit.queue.clock import Clock
from secondunit.queue.errors import JobNotFound, NotAllowed, StoreFull
from secondunit.queue.model import Event, Filter, Job, JobId, Status
from secondunit.queue.service import Queue

TYPE = "locations"
WAITS = tuple(timedelta(minutes=minutes) for minutes in (15, 60, 240, 720))
EVERY = 30.0


@dataclass(frozen=True, slots=True)
class DueRetry:
    """The `number`-th time, from 1, that a job is queued again by itself, and when that is due."""

    number: int
    at: datetime


def next_retry(job: Job) -> DueRetry | None:
    """When to look again for what this job missed; None when that would not help, or was done often enough.

    Each run that ended in part stands in the job's history, which outlives the daemon; one that somebody asked for
    counts, too.
    """
    if job.type != TYPE or job.status is not Status.PARTIAL or job.finished_at is None:
        return None
    if not isinstance(job.result, Mapping) or job.result.get("retryable") is not True:
        return None
    number = sum(run.outcome == "partial" for run in job.runs)
    return DueRetry(number, job.finished_at + WAITS[number - 1]) if 1 <= number <= len(WAITS) else None


class PartialRetrier:
    """The loop. `trouble` says why no place can be found now; `on_retry` hears of each job that is queued again.

    While there is trouble one job at a time goes, to learn when it is over: nothing else might ask the geocoder.
    """

    def __init__(self, clock: Clock, trouble: Callable[[], str | None], on_retry: Callable[[Job, int], None]) -> None:
        self._clock = clock
        self._trouble = trouble
        self._on_retry = on_retry
        self._due: dict[JobId, datetime] = {}
        self._heard: set[JobId] = set()
        self._scout: JobId | None = None

    def hear(self, events: Sequence[Event]) -> None:
        """A tap of the hub: what ended in part may be due one day."""
        for event in events:
            if event.job_type == TYPE and event.status.ended:
                if event.status is Status.PARTIAL:
                    self._heard.add(event.job_id)
                if event.job_id == self._scout:
                    self._scout = None

    async def run(self, queue: Queue) -> None:
        """Queue again for ever what is due; first of all find what an earlier life of the daemon left."""
        async for job in queue.each(Filter([Status.PARTIAL], [TYPE])):
            self._note(job)
        while True:
            await self._round(queue)
            await self._clock.sleep(EVERY)

    async def _round(self, queue: Queue) -> None:
        heard, self._heard = self._heard, set()
        for job_id in heard:
            if job := await _found(queue, job_id):
                self._note(job)
        for job_id, at in sorted(self._due.items(), key=lambda due: due[1]):
            waits = self._trouble() is not None and self._scout is not None
            if at > self._clock.now() or waits or queue.draining:
                return
            await self._try(queue, job_id)

    def _note(self, job: Job) -> None:
        if due := next_retry(job):
            self._due[job.id] = due.at
        else:
            self._due.pop(job.id, None)

    async def _try(self, queue: Queue, job_id: JobId) -> None:
        """Queue the job again, unless it has moved since it was noted."""
        del self._due[job_id]
        job = await _found(queue, job_id)
        due = next_retry(job) if job else None
        if job is None or due is None:
            return
        try:
            await queue.retry(job_id)
        except (NotAllowed, JobNotFound):
            return  # it, or another job for the same places, is live again
        except StoreFull:
            self._due[job_id] = due.at
            return
        self._scout = job_id
        self._on_retry(job, due.number)


async def _found(queue: Queue, job_id: JobId) -> Job | None:
    try:
        return await queue.get(job_id)
    except JobNotFound:
        return None
