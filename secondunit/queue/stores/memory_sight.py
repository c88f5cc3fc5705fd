"""In-memory sight of the reference store."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

from secondunit.queue.model import Change, Event, Filter, Job, JobId, Status
from secondunit.queue.payloads.json_text import dump
from secondunit.queue.sight.estimates import Sample
from secondunit.queue.sight.port import LARGEST_TOLD, Failure, Line, Waiting
from secondunit.queue.sight.query import fits
from secondunit.queue.sight.series import (
    HOUR,
    HOURS_KEPT,
    MINUTES_KEPT,
    SeriesRow,
    Tally,
    begins,
    moved,
    rolled,
)


class MemorySight:
    """The Sight port; `line` gives the jobs that are ready at a time, as a claim takes them; `failed` all that are."""

    def __init__(
        self, line: Callable[[datetime, str | None], Sequence[Job]], failed: Callable[[], Sequence[Job]]
    ) -> None:
        self._line = line
        self._failed = failed
        self._tallies: dict[tuple[datetime, str], Tally] = {}
        self._hours: Sequence[SeriesRow] = ()
        self._standing: Counter[tuple[str, Status]] = Counter()
        self._told: dict[JobId, Event] = {}
        self._samples: dict[str, Sequence[Sample]] = {}

    def moved(self, before: Job | None, change: Change) -> None:
        """A job was stored: count its move in its minute."""
        job, event, standing = change.job, change.event, self._standing
        if before:
            standing[before.type, before.status] -= 1
        standing[job.type, job.status] += 1
        if event is None:
            return
        move = moved(self._told.get(job.id), event)
        self._told[job.id] = event
        tally = self._tallies.setdefault((move.at, move.type), Tally())
        tally.add(move)
        tally.queued, tally.running = standing[job.type, Status.QUEUED], standing[job.type, Status.RUNNING]

    def forget(self, gone: Iterable[JobId], now: datetime) -> None:
        """Forget these jobs, make hours of old minutes, and drop what is older still."""
        for id in gone:
            self._told.pop(id, None)
        before = begins(now - MINUTES_KEPT, HOUR)
        old = [row for row in self._minutes() if row.at < before]
        self._tallies = {key: tally for key, tally in self._tallies.items() if key[0] >= before}
        self._hours = [row for row in rolled(self._hours, old) if row.at >= now - HOURS_KEPT]

    async def series(self, since: datetime, types: Collection[str]) -> Sequence[SeriesRow]:
        rows = (row for row in (*self._hours, *self._minutes()) if row.at >= since and (not types or row.type in types))
        return sorted(rows, key=lambda row: (row.at, row.type))

    def _minutes(self) -> Sequence[SeriesRow]:
        return [SeriesRow(*key, tally.row()) for key, tally in sorted(self._tallies.items(), key=lambda pair: pair[0])]

    async def line(
        self, job_id: JobId, types: Collection[str], now: datetime, limit: int, box: str | None = None
    ) -> Line:
        return before(job_id, types, self._line(now, box), limit)

    async def waiting(
        self, types: Collection[str], now: datetime, limit: int, box: str | None = None
    ) -> Sequence[Waiting]:
        seen = Counter[str]()
        first = [job for job in self._line(now, box) if job.type in types and _nth(seen, job.type) <= limit]
        small = [len(dump(job.payload)) <= LARGEST_TOLD for job in first]
        return [Waiting(job.id, job.type, job.payload if told else {}) for job, told in zip(first, small, strict=True)]

    async def samples(self) -> Mapping[str, Sequence[Sample]]:
        return dict(self._samples)

    async def keep_samples(self, samples: Mapping[str, Sequence[Sample]]) -> None:
        self._samples |= {type: tuple(kept) for type, kept in samples.items()}

    async def failures(self, since: datetime, limit: int) -> Sequence[Failure]:
        found = [
            (job.finished_at, job.seq, Failure(job.id, job.type, job.error, job.finished_at))
            for job in self._failed()
            if job.error and job.finished_at and job.finished_at >= since
        ]
        return [failure for _, _, failure in sorted(found, key=lambda one: one[:2], reverse=True)][:limit]


def _nth(seen: Counter[str], type: str) -> int:
    seen[type] += 1
    return seen[type]


def before(job_id: JobId, types: Collection[str], line: Sequence[Job], limit: int) -> Line:
    """The part of the line that stands before a job."""
    ids = [job.id for job in line]
    if job_id not in ids:
        return Line()
    place = ids.index(job_id)
    job, ahead = line[place], [other for other in line[:place] if other.type in types]
    overtook = sum(other.seq > job.seq for other in ahead)
    return Line(Counter(other.type for other in ahead), overtook, tuple(other.id for other in ahead[:limit]))


def matches(filter: Filter, job: Job) -> bool:
    """Whether a job is meant."""
    return (
        (not filter.statuses or job.status in filter.statuses)
        and (not filter.types or job.type in filter.types)
        and (not filter.ids or job.id in filter.ids)
        and filter.owner in (None, job.owner)
        and filter.batch in (None, job.batch)
        and fits(job, filter.terms, filter.searchable)
    )
