"""In-memory line and event log of the reference store: who waits and since when, and what happened in which order."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice

from secondunit.queue.model import HIGHEST_PRIORITY, Counts, Event, Filter, Job, JobId, Status
from secondunit.queue.ports.pruning import Prune
from secondunit.queue.value import Value, replace


class _Wait(Value, frozen=True):
    """A queued job's place: `ready` once its `run_at` has come, since `since`; `raised` by aging so many ranks."""

    ready: bool
    since: datetime
    raised: int = 0


class MemoryLine:
    """The jobs that wait for a slot or for their time; those that wait for other jobs are in no line."""

    def __init__(self, jobs: Mapping[JobId, Job]) -> None:
        self._jobs = jobs
        self._waits: dict[JobId, _Wait] = {}

    def place(self, job: Job) -> None:
        """The job is as this says now."""
        if job.status is not Status.QUEUED or job.waiting_for:
            self._waits.pop(job.id, None)
        elif job.id not in self._waits or (job.run_at is None and not self._waits[job.id].ready):
            self._waits[job.id] = _Wait(job.run_at is None, job.run_at or job.updated_at)

    def promote(self, now: datetime) -> None:
        """Those whose time has come are ready."""
        for id, wait in self._waits.items():
            if wait.since <= now:
                self._waits[id] = replace(wait, ready=True)

    def at(self, now: datetime, box: str | None = None) -> Sequence[Job]:
        """The line as a claim takes it, for a box or for any."""
        waits = self._waits
        ready = [self._jobs[id] for id, wait in waits.items() if wait.ready or wait.since <= now]
        mine = [job for job in ready if not job.suspicion and (box is None or job.box in (None, box))]
        return sorted(mine, key=lambda job: (self._rank(job), job.seq))

    def taken(self, room: Mapping[str, int], limit: int, now: datetime, box: str | None) -> Sequence[Job]:
        """Those that a claim takes."""
        self.promote(now)
        left = Counter(room)
        jobs: list[Job] = []
        for job in self.at(now, box):
            if left[job.type] > 0 and len(jobs) < limit:
                left[job.type] -= 1
                jobs.append(job)
        return jobs

    def running(self, type: str) -> int:
        """How many of a type run."""
        return sum(job.type == type and job.status is Status.RUNNING for job in self._jobs.values())

    def oldest(self) -> datetime | None:
        """Since when the first of those waits that are ready."""
        return min((self._waits[job.id].since for job in self.ready()), default=None)

    def next_due(self, types: Collection[str]) -> datetime | None:
        """When the next of these types is ready."""
        waiting = ((self._jobs[id].type, wait) for id, wait in self._waits.items() if not wait.ready)
        return min((wait.since for type, wait in waiting if type in types), default=None)

    def age(self, now: datetime, step: timedelta, limit: int) -> int:
        """Raise those that have been ready for another step; how many."""
        due = [
            job.id
            for job in self.ready()
            if self._rank(job) > HIGHEST_PRIORITY
            and self._waits[job.id].since + step * (self._waits[job.id].raised + 1) <= now
        ][:limit]
        for id in due:
            self._waits[id] = replace(self._waits[id], raised=self._waits[id].raised + 1)
        return len(due)

    def shift(self, delta: timedelta, write: Callable[[Job], None]) -> None:
        """Move retries that wait for their time along with the clock."""
        for id, wait in self._waits.items():
            job = self._jobs[id]
            if job.run_at and not wait.ready and (job.attempt > 1 or job.interruptions):
                write(replace(job, run_at=job.run_at + delta))
                self._waits[id] = replace(wait, since=job.run_at + delta)

    def ready(self) -> list[Job]:
        """Those whose time had come when that was last looked at, suspects aside."""
        return [self._jobs[id] for id, wait in self._waits.items() if wait.ready and not self._jobs[id].suspicion]

    def _rank(self, job: Job) -> int:
        return job.priority - self._waits[job.id].raised


class MemoryLog:
    """Events in their order, the `last` of them, and from which on none was forgotten."""

    def __init__(self) -> None:
        self.first = 1
        self.last = 0
        self._events: list[Event] = []

    def add(self, event: Event) -> None:
        """Give the event its number."""
        self.last += 1
        self._events.append(replace(event, seq=self.last))

    def after(self, seq: int, filter: Filter, limit: int) -> Sequence[Event]:
        """Those that came later and fit."""
        return list(islice((one for one in self._events if one.seq > seq and tells(filter, one)), limit))

    def keep(self, jobs: Collection[JobId]) -> None:
        """Forget those of all other jobs."""
        self.first = max([self.first, *(one.seq + 1 for one in self._events if one.job_id not in jobs)])
        self._events = [one for one in self._events if one.job_id in jobs]


def tells(filter: Filter, event: Event) -> bool:
    """Whether the event is of a job that is meant."""
    return (
        (not filter.types or event.job_type in filter.types)
        and (not filter.ids or event.job_id in filter.ids)
        and filter.owner in (None, event.owner)
    )


def counted(jobs: Collection[Job], oldest: datetime | None) -> Counts:
    """How many jobs stand where."""
    by_status = {status: Counter(job.type for job in jobs if job.status is status) for status in Status}
    ended = sum((by_status[status] for status in Status if status.ended), Counter[str]())
    types = {type for counts in by_status.values() for type in counts}
    each = {type: {str(one): n for one, counts in by_status.items() if (n := counts[type])} for type in types}
    completed = by_status[Status.COMPLETED]
    return Counts(by_status[Status.QUEUED], by_status[Status.RUNNING], ended, oldest, completed, each)


def horizon(what: Prune, job: Job) -> datetime:
    """Before when an ended job has outlived its time."""
    return what.failed_before if job.status is Status.FAILED else what.before
