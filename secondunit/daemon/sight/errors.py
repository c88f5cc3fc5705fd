"""Error groups of a window: what failed for good, by its fingerprint."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import timedelta

from secondunit.queue.clock import Clock
from secondunit.queue.sight.fingerprint import ErrorGroup, grouped
from secondunit.queue.store import Store

MOST_FAILURES = 5_000


class ErrorGroups:
    """Groups the failures that the store still has, the newest 5,000 of a window."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def __call__(self, window: timedelta, types: Collection[str] = ()) -> tuple[Sequence[ErrorGroup], bool]:
        """Those of the last so long, the most frequent first; and whether there are older ones that are in none.

        With `types`, those of them alone that are of one of these.
        """
        failures = await self._store.sight.failures(self._clock.now() - window, MOST_FAILURES + 1)
        wanted = [one for one in failures[:MOST_FAILURES] if not types or one.type in types]
        groups = await asyncio.to_thread(grouped, wanted)
        return groups, len(failures) > MOST_FAILURES
