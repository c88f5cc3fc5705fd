"""Ports to time and randomness: below the daemon both are arguments, so that tests advance a clock and never sleep."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time that never runs backwards within a process, and waiting measured on it."""

    def now(self) -> datetime:
        """The current time, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; for measuring spans only."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once this many seconds have passed."""
        ...

    async def tick(self, every: float) -> None:
        """Return within so many seconds, together with others that only look now and then: the process wakes once."""
        ...


class Random(Protocol):
    """What the queue needs of chance: `random.Random` fits."""

    def random(self) -> float:
        """A float in [0, 1)."""
        ...

    def randbytes(self, n: int, /) -> bytes:
        """This many random bytes."""
        ...
