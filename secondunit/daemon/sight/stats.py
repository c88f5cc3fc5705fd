"""Statistics of a window: points from the store's bounded time series, off the loop."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from secondunit.queue.clock import Clock
from secondunit.queue.sight.series import HOUR, Point, begins, points
from secondunit.queue.store import Store
from secondunit.queue.value import Value

ALWAYS = 10**10  # seconds: one step from 1970 on
STEPS = ((timedelta(hours=1), 60), (timedelta(hours=6), 300), (timedelta(hours=24), 900))


class Statistics(Value, frozen=True):
    """Points, each of so many seconds, the oldest first; the last one is not over yet. `whole` is all of it in one."""

    step: int
    points: Sequence[Point]
    whole: Point


class QueueStatistics:
    """Answers what happened in a window, of all types or of some."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def __call__(self, window: timedelta, types: Collection[str]) -> Statistics:
        """The points of the last so long."""
        now = self._clock.now()
        step = next((step for longest, step in STEPS if window <= longest), HOUR)
        since = begins(now - window, step) + timedelta(seconds=step)
        rows = await self._store.sight.series(since, types)
        counts = await self._store.counts()
        stand = _sum(counts.queued, types), _sum(counts.running, types)
        found = await asyncio.to_thread(points, rows, since, now, step, stand)
        [whole] = await asyncio.to_thread(points, rows, since, now, ALWAYS, stand)
        return Statistics(step, found, whole)


def _sum(counts: Mapping[str, int], types: Collection[str]) -> int:
    return sum(n for type, n in counts.items() if not types or type in types)
