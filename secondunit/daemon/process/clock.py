"""System clock, kept from jumping: the one place that reads the machine's clocks."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

SET_NOT_DRIFTED = 2.0
DIFFERS = 0.1
JUST_TICKED = 0.05  # of the time between two: timers are rounded, and may go off early


async def tick(every: float) -> float:
    """Return at the next whole multiple of so many seconds on the machine's clock; by how many it is late.

    An idle process wakes once a second for all that look each second, in place of once for each of them.
    """
    now = time.monotonic()
    due = ((now + JUST_TICKED * every) // every + 1) * every
    await asyncio.sleep(due - now)
    return time.monotonic() - due


class SystemClock:
    """Wall time that goes on steadily from its reading at start; it follows a clock that was set only in `was_set`.

    Once it was told to `follow` somebody else's clock it goes by that one, and the system's does not matter.
    """

    def __init__(self) -> None:
        self._start = time.time() - time.monotonic()
        self._follows = False

    def now(self) -> datetime:
        """The current time, aware, UTC."""
        return datetime.fromtimestamp(self._start + time.monotonic(), UTC)

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; for measuring spans only."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return once this many seconds have passed."""
        await asyncio.sleep(seconds)

    async def tick(self, every: float) -> None:
        """Return at the next whole multiple of so many seconds."""
        await tick(every)

    def follow(self, at: datetime) -> None:
        """It is this late by the clock that counts. What a look at it takes is no difference."""
        delta = (at - self.now()).total_seconds()
        if not self._follows or abs(delta) > DIFFERS:
            self._start += delta
        self._follows = True

    @property
    def astray(self) -> timedelta:
        """How far the system's clock is ahead of the one that is followed; nothing while none is."""
        delta = time.time() - time.monotonic() - self._start
        return timedelta(seconds=delta if self._follows else 0)

    def was_set(self) -> timedelta:
        """By how much the system's clock was set since the last call; ours follows it now. Slow drift is nothing."""
        delta = time.time() - time.monotonic() - self._start
        if self._follows or abs(delta) < SET_NOT_DRIFTED:
            return timedelta(0)
        self._start += delta
        return timedelta(seconds=delta)
