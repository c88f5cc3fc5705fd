"""Rounds of the lease keeper: when the next one is due, and whether it is late, so that leases ran out unjudged."""

import asyncio
from datetime import timedelta

from secondunit.queue.clock import Clock

LATE = 1.0


class Rounds:
    """When the keeper comes round; late by a third of a lease, a second at least, others ask it before they judge."""

    def __init__(self, clock: Clock, ttl: timedelta) -> None:
        self._clock = clock
        self._late = max(LATE, ttl.total_seconds() / 3)
        self._due: float | None = None
        self._over = asyncio.Event()

    @property
    def late(self) -> bool:
        """Whether the daemon, or its database, stood still for so long that leases could not be renewed."""
        return self._due is not None and self._clock.monotonic() - self._due > self._late

    def next_in(self, seconds: float) -> None:
        """A round is over, and so long from now is the next one."""
        self._due = self._clock.monotonic() + seconds
        self._over.set()
        self._over = asyncio.Event()

    async def caught_up(self) -> None:
        """The end of the round that is late."""
        await self._over.wait()
