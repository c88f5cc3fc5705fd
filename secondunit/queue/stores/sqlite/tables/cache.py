"""Cache table: results, each until its time."""

from datetime import datetime

from secondunit.queue.json_text import dump
from secondunit.queue.store import CacheEntry
from secondunit.queue.stores.sqlite.readers import Readers
from secondunit.queue.stores.sqlite.rows import cache_entry_from, micros
from secondunit.queue.stores.sqlite.writer import Writer


class SqliteCache:
    """The Cache port; see `secondunit.queue.store.Cache`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def get(self, key: str, now: datetime) -> CacheEntry | None:
        sql = "select key, value, job_id, made_at, expires_at from cache where key = ? and expires_at > ?"
        rows = await self._readers.fetch(sql, (key, micros(now)))
        return cache_entry_from(rows[0]) if rows else None

    async def put(self, entry: CacheEntry) -> None:
        times = micros(entry.made_at), micros(entry.expires_at)
        values = (entry.key, dump(entry.value), entry.job_id, *times)
        await self._writer.run(
            lambda tx: tx.execute("insert or replace into cache values (?, ?, ?, ?, ?)", values).rowcount
        )

    async def drop(self, key: str) -> None:
        await self._writer.run(lambda tx: tx.execute("delete from cache where key = ?", (key,)).rowcount)
