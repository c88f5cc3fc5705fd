"""Read-only connection pool, each on a thread of aiosqlite's; a query fetches its rows and holds nothing open."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import aiosqlite

from secondunit.queue.ports.pages import cut
from secondunit.queue.stores.columns import Row
from secondunit.queue.stores.sqlite.connection import connect_path_for_reading, translated


class Readers:
    """A few reading connections; a query waits for a free one."""

    def __init__(self, connections: Sequence[aiosqlite.Connection]) -> None:
        self._connections = connections
        self._free: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
        for connection in connections:
            self._free.put_nowait(connection)

    @classmethod
    async def open(cls, path: Path, n: int) -> "Readers":
        """`n` connections to the database at `path`."""
        uri, pragmas = connect_path_for_reading(path)
        async with AsyncExitStack() as opened:
            connections = []
            for _ in range(n):
                connection = await aiosqlite.connect(uri, uri=True, isolation_level=None, cached_statements=256)
                opened.push_async_callback(connection.close)
                for pragma in pragmas:
                    await connection.execute_fetchall(pragma)
                connections.append(connection)
            opened.pop_all()
        return cls(connections)

    async def fetch(self, sql: str, values: Sequence[Any] | Mapping[str, Any]) -> list[Any]:
        """All rows of the query."""
        return list(await self._run(lambda connection: connection.execute_fetchall(sql, values)))

    async def page(self, sql: str, values: Sequence[Any], limit: int) -> tuple[list[Row], bool]:
        """As many rows of the query as `cut` leaves, and whether another follows; what is left out is not read."""
        # Row by row on its thread: no portion of a size that is known before holds only so many bytes.
        found: tuple[list[Row], bool] = await self._run(
            lambda connection: connection._execute(_cut, connection._conn, sql, values, limit)  # noqa: SLF001
        )
        return found

    async def _run(self, ask: Callable[[Any], Awaitable[Any]]) -> Any:
        connection = await self._free.get()
        try:
            return await ask(connection)
        except sqlite3.Error as error:
            raise translated(error) from error
        finally:
            self._free.put_nowait(connection)

    async def close(self) -> None:
        """Close them all; aiosqlite's threads would keep the process alive."""
        for connection in self._connections:
            await connection.close()


def _cut(connection: sqlite3.Connection, sql: str, values: Sequence[Any], limit: int) -> tuple[list[Row], bool]:
    with closing(connection.execute(sql, values)) as rows:
        return cut(rows, limit, tuple)
