"""In-memory sight of the reference store."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from secondunit.queue.model import Filter, Job, JobId
from secondunit.queue.sight.port import Line
from secondunit.queue.sight.query import fits


class MemorySight:
    """The Sight port; `line` gives all jobs that are ready at a time, in the order of a claim."""

    def __init__(self, line: Callable[[datetime], Sequence[Job]]) -> None:
        self._line = line

    async def line(self, job_id: JobId, types: Collection[str], now: datetime, limit: int) -> Line:
        return before(job_id, types, self._line(now), limit)


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
        and fits(job, filter.terms, filter.searchable)
    )
