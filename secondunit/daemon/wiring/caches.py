"""Cache adapters over the store: results for those who ask again, tokens of each day, places."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from secondunit.queue.clock import Clock
from secondunit.queue.ports.cache import Cache, CacheEntry

# A day's figure is of use until that day is over everywhere.
SPENDING_KEPT = timedelta(days=2)
NO_JOB = ""


class CachedResults:
    """The Results port; with a `ttl` of nothing, results are not kept."""

    def __init__(self, cache: Cache, clock: Clock, ttl: timedelta) -> None:
        self._cache = cache
        self._clock = clock
        self._ttl = ttl
        self._rooms: dict[str, _Room] = {}

    async def get(self, key: str) -> tuple[Mapping[str, object], str] | None:
        """The result and the id of the job that made it."""
        entry = await self._cache.get(key, self._clock.now()) if self._ttl else None
        return (entry.value, entry.job_id) if entry else None

    async def put(self, key: str, result: Mapping[str, object], job_id: str) -> None:
        """Keep a result for its time."""
        if self._ttl:
            now = self._clock.now()
            await self._cache.put(CacheEntry(key, result, job_id, now, now + self._ttl))

    @asynccontextmanager
    async def alone(self, key: str) -> AsyncIterator[None]:
        """Wait for the run that is making this very result in this process, if there is one."""
        room = self._rooms.setdefault(key, _Room())
        room.people += 1
        try:
            async with room.lock:
                yield
        finally:
            room.people -= 1
            if room.people == 0:
                del self._rooms[key]


@dataclass(slots=True)
class _Room:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    people: int = 0


class CachedSpending:
    """The Spending port: the tokens of each UTC day, counted up by this one process."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._adding = asyncio.Lock()

    async def used(self, day: date) -> int:
        """Tokens used on that day."""
        entry = await self._cache.get(_key(day), _begin(day))
        return int(entry.value) if entry else 0

    async def add(self, day: date, tokens: int) -> None:
        """Count these tokens, too."""
        async with self._adding:
            begin, sum = _begin(day), await self.used(day) + tokens
            await self._cache.put(CacheEntry(_key(day), sum, NO_JOB, begin, begin + SPENDING_KEPT))


class CachedPlaces:
    """The PlaceCache port: what the geocoder answered, each for its own time."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock

    async def get(self, key: str) -> Any | None:
        """The answer to this question, while it counts."""
        entry = await self._cache.get(key, self._clock.now())
        return entry.value if entry else None

    async def put(self, key: str, value: Any, days: int) -> None:
        """Keep an answer for so many days."""
        now = self._clock.now()
        await self._cache.put(CacheEntry(key, value, NO_JOB, now, now + timedelta(days=days)))


def _key(day: date) -> str:
    return f"gemini-tokens:{day.isoformat()}"


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
