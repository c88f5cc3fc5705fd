"""Sight port: what a store is asked so that people can be told: who is ahead in the line, and later what went wrong."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from secondunit.queue.model import JobId
from secondunit.queue.outcome import JobError
from secondunit.queue.sight.series import SeriesRow
from secondunit.queue.value import Value


class Line(Value, frozen=True):
    """The ready jobs that a claim takes before a queued one: how many of each type, and the first of them by name.

    `overtook` of them were submitted after it.
    """

    ahead: Mapping[str, int] = {}
    overtook: int = 0
    first: Sequence[JobId] = ()


class Failure(Value, frozen=True):
    """A job that failed for good."""

    job_id: JobId
    type: str
    error: JobError
    at: datetime


class Sight(Protocol):
    """Questions about the queue that no run asks."""

    async def line(self, job_id: JobId, types: Collection[str], now: datetime, limit: int) -> Line:
        """Who of these types stands before a queued job at `now`, at most `limit` of them by name.

        Before a job that stands in no line, as suspects and those do whose time has not come, there is nobody.
        """
        ...

    async def failures(self, since: datetime, limit: int) -> Sequence[Failure]:
        """The jobs that failed at `since` or later and are failed still, the last ones first."""
        ...

    async def series(self, since: datetime, types: Collection[str]) -> Sequence[SeriesRow]:
        """What happened in each minute from `since` on, or hour where it is longer ago than two days, in order.

        Of these types, of all without any. Pruning makes hours of old minutes.
        """
        ...
