"""Result cache port: stored results by key, each until its time."""

from datetime import datetime
from typing import Any, Protocol

from secondunit.queue.model import JobId
from secondunit.queue.value import Value


class CacheEntry(Value, frozen=True):
    """A stored result: `job_id` made it, `expires_at` ends it."""

    key: str
    value: Any
    job_id: JobId
    made_at: datetime
    expires_at: datetime


class Cache(Protocol):
    """Results by key, each until its time."""

    async def get(self, key: str, now: datetime) -> CacheEntry | None: ...

    async def put(self, entry: CacheEntry) -> None:
        """Store, or replace what has the key."""
        ...

    async def drop(self, key: str) -> None: ...
