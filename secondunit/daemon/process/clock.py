"""System clock, kept from jumping: the one place that reads the machine's clocks."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

SET_NOT_DRIFTED = 2.0


class SystemClock:
    """Wall time that goes on steadily from its reading at start; it follows a clock that was set only in `was_set`."""

    def __init__(self) -> None:
        self._start = time.time() - time.monotonic()

    def now(self) -> datetime:
        """The current time, aware, UTC."""
        return datetime.fromtimestamp(self._start + time.monotonic(), UTC)

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; for measuring spans only."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return once this many seconds have passed."""
        await asyncio.sleep(seconds)

    def was_set(self) -> timedelta:
        """By how much the system's clock was set since the last call; ours follows it now. Slow drift is nothing."""
        delta = time.time() - time.monotonic() - self._start
        if abs(delta) < SET_NOT_DRIFTED:
            return timedelta(0)
        self._start += delta
        return timedelta(seconds=delta)
