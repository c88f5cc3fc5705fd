"""Sight port: what a store is asked so that people can be told: who is ahead in the line, and later what went wrong."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from secondunit.queue.model import JobId
from secondunit.queue.value import Value


class Line(Value, frozen=True):
    """The ready jobs that a claim takes before a queued one: how many of each type, and the first of them by name.

    `overtook` of them were submitted after it.
    """

    ahead: Mapping[str, int] = {}
    overtook: int = 0
    first: Sequence[JobId] = ()


class Sight(Protocol):
    """Questions about the queue that no run asks."""

    async def line(self, job_id: JobId, types: Collection[str], now: datetime, limit: int) -> Line:
        """Who of these types stands before a queued job at `now`, at most `limit` of them by name.

        Suspects stand in no line. One that does not wait, or is not there, has nobody before it.
        """
        ...
