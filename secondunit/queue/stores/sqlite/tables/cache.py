"""Cache table: results, each until its time."""

from datetime import datetime

from secondunit.queue.ports.cache import CacheEntry
from secondunit.queue.stores.port_rows import CACHE, CACHE_COLUMNS, cache_entry_from, cache_values
from secondunit.queue.stores.rows import micros
from secondunit.queue.stores.sqlite.readers import Readers
from secondunit.queue.stores.sqlite.writer import Writer


class SqliteCache:
    """The Cache port; see `secondunit.queue.store.Cache`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def get(self, key: str, now: datetime) -> CacheEntry | None:
        sql = f"select {CACHE_COLUMNS} from cache where key = ? and expires_at > ?"
        rows = await self._readers.fetch(sql, (key, micros(now)))
        return cache_entry_from(rows[0]) if rows else None

    async def put(self, entry: CacheEntry) -> None:
        sql = f"insert or replace into cache ({CACHE_COLUMNS}) values ({', '.join('?' * len(CACHE))})"
        await self._writer.run(lambda tx: tx.execute(sql, cache_values(entry)).rowcount)

    async def drop(self, key: str) -> None:
        await self._writer.run(lambda tx: tx.execute("delete from cache where key = ?", (key,)).rowcount)
