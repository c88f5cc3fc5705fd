"""Error groups of a window: what failed for good, by its fingerprint."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from secondunit.queue.clock import Clock
from secondunit.queue.sight.fingerprint import ErrorGroup, grouped
from secondunit.queue.store import Store

MOST_FAILURES = 20_000


class ErrorGroups:
    """Groups the failures that the store still has, the newest 20,000 of a window."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def __call__(self, window: timedelta) -> Sequence[ErrorGroup]:
        """Those of the last so long, the most frequent first."""
        failures = await self._store.sight.failures(self._clock.now() - window, MOST_FAILURES)
        return await asyncio.to_thread(grouped, failures)
