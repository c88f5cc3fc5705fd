"""Fake clock: it stands still until a test moves it."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta

START = datetime(2030, 1, 1, tzinfo=UTC)
SETTLE_TURNS = 50


class ManualClock:
    """A Clock on which time passes by `advance` only; sleepers wake in the order of their times."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._elapsed = timedelta()
        self._sleepers: list[tuple[timedelta, int, asyncio.Future[None]]] = []
        self._slept = 0

    def now(self) -> datetime:
        """The time as it was set."""
        return self._now

    def monotonic(self) -> float:
        """Seconds advanced since the start; `set_wall` does not move it."""
        return self._elapsed.total_seconds()

    @property
    def sleepers(self) -> int:
        """How many are asleep."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was advanced by this much; no time at all lets others run once."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self._slept += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + timedelta(seconds=seconds), self._slept, future))
        await future

    async def tick(self, every: float) -> None:
        """As `sleep`: here nobody's battery is saved."""
        await self.sleep(every)

    async def advance(self, seconds: float) -> None:
        """Let time pass: each sleeper wakes at its own time and gets to run before the next one wakes."""
        end = self._elapsed + timedelta(seconds=seconds)
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                self._move(max(at, self._elapsed))
                future.set_result(None)
                await self.settle()
        self._move(end)

    async def leap(self, seconds: float) -> None:
        """Let time pass while nobody runs, as for a stopped process; then all wake whose time has come."""
        self._move(self._elapsed + timedelta(seconds=seconds))
        await self.advance(0)

    async def settle(self) -> None:
        """Let every task run that can without time passing; work on threads is not waited for."""
        for _ in range(SETTLE_TURNS):
            await asyncio.sleep(0)

    def set_wall(self, now: datetime) -> None:
        """Set the wall clock, as an operator or NTP does; spans are not touched."""
        self._now = now

    def _move(self, to: timedelta) -> None:
        self._now += to - self._elapsed
        self._elapsed = to
