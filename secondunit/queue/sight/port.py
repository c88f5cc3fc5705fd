"""Sight port: what a store is asked so that people can be told: who is ahead in the line, and later what went wrong."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from secondunit.queue.model import JobId
from secondunit.queue.outcome import JobError
from secondunit.queue.sight.estimates import Sample
from secondunit.queue.sight.series import SeriesRow
from secondunit.queue.value import Value


class Line(Value, frozen=True):
    """The ready jobs that a claim takes before a queued one: how many of each type, and the first of them by name.

    `overtook` of them were submitted after it.
    """

    ahead: Mapping[str, int] = {}
    overtook: int = 0
    first: Sequence[JobId] = ()


LARGEST_TOLD = 4096


class Waiting(Value, frozen=True):
    """A job of the line; `payload` is empty where it is longer than LARGEST_TOLD characters of JSON."""

    job_id: JobId
    type: str
    payload: Mapping[str, Any]


class Failure(Value, frozen=True):
    """A job that failed for good."""

    job_id: JobId
    type: str
    error: JobError
    at: datetime


class Sight(Protocol):
    """Questions about the queue that no run asks."""

    async def line(
        self, job_id: JobId, types: Collection[str], now: datetime, limit: int, box: str | None = None
    ) -> Line:
        """Who of these types stands before a queued job at `now`, at most `limit` of them by name, as `box` claims.

        Before a job that stands in no line, as suspects and those do whose time has not come, there is nobody.
        """
        ...

    async def waiting(
        self, types: Collection[str], now: datetime, limit: int, box: str | None = None
    ) -> Sequence[Waiting]:
        """The line as claims of `box` take it from `now` on: the first `limit` jobs of each of these types."""
        ...

    async def samples(self) -> Mapping[str, Sequence[Sample]]:
        """What was last kept of the runs of each type."""
        ...

    async def keep_samples(self, samples: Mapping[str, Sequence[Sample]]) -> None:
        """Keep these in place of what was kept of their types."""
        ...

    async def failures(self, since: datetime, limit: int) -> Sequence[Failure]:
        """The jobs that failed at `since` or later and are failed still, the last ones first."""
        ...

    async def series(self, since: datetime, types: Collection[str]) -> Sequence[SeriesRow]:
        """What happened in each minute from `since` on, or hour where it is longer ago than two days, in order.

        Of these types, of all without any. Pruning makes hours of old minutes.
        """
        ...
