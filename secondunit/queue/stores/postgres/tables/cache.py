"""Cache table: results, each until its time."""

from datetime import datetime

from secondunit.queue.ports.cache import CacheEntry
from secondunit.queue.stores.columns import names
from secondunit.queue.stores.port_rows import CACHE, CACHE_COLUMNS, cache_entry_from, cache_values
from secondunit.queue.stores.postgres.readers import PostgresReaders
from secondunit.queue.stores.postgres.writer import PostgresWriter
from secondunit.queue.stores.rows import micros

PUT = f"""
insert into cache ({CACHE_COLUMNS}) values ({", ".join(["%s"] * len(CACHE))})
on conflict (key) do update
set {", ".join(f"{name} = excluded.{name}" for name in names(CACHE))}"""


class PostgresCache:
    """The Cache port; see `secondunit.queue.store.Cache`."""

    def __init__(self, writer: PostgresWriter, readers: PostgresReaders) -> None:
        self._writer = writer
        self._readers = readers

    async def get(self, key: str, now: datetime) -> CacheEntry | None:
        sql = f"select {CACHE_COLUMNS} from cache where key = %s and expires_at > %s"
        rows = await self._readers.fetch(sql, (key, micros(now)))
        return cache_entry_from(rows[0]) if rows else None

    async def put(self, entry: CacheEntry) -> None:
        await self._writer.run(lambda tx: tx.send(PUT, cache_values(entry)))

    async def drop(self, key: str) -> None:
        await self._writer.run(lambda tx: tx.send("delete from cache where key = %s", (key,)))
