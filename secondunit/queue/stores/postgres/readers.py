"""Reading connection pool: a few connections on the event loop; a query fetches all its rows and holds nothing open."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from secondunit.queue.stores.postgres.connection import translated
from secondunit.queue.stores.postgres.failover.servers import Servers

REST = 0.25  # seconds between two tries to reach a server that is away


class PostgresReaders:
    """Up to `n` connections, opened when needed, and again when they were lost; a query waits for a free one.

    A server that is away is waited for, `patience` seconds long: as by the writer, for loops that read must live on.
    """

    def __init__(self, servers: Servers, n: int, patience: float) -> None:
        self._servers = servers
        self._free: asyncio.LifoQueue[psycopg.AsyncConnection[Any] | None] = asyncio.LifoQueue()
        for _ in range(n):
            self._free.put_nowait(None)
        self._n = n
        self._tries = max(1, int(patience / REST))

    async def fetch(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """All rows of the query; a connection that is lost meanwhile is replaced, and the query asked again."""
        connection = await self._free.get()
        try:
            tried = 0
            while True:
                kept = connection is not None
                try:
                    if connection and self._servers.passed(connection):
                        await connection.close()
                        connection = None
                    connection = connection or await self._servers.connect_reader()
                    cursor = await connection.execute(sql, values)
                    return await cursor.fetchall()
                except psycopg.OperationalError as error:
                    tried += not kept
                    if tried == self._tries or (connection and not connection.closed):
                        raise translated(error) from error
                    connection = None
                if not kept:  # one that idled may have been ended by anybody, which says nothing of the server
                    await asyncio.sleep(REST)
        except psycopg.Error as error:
            raise translated(error) from error
        finally:
            if connection is not None and connection.closed:
                connection = None
            self._free.put_nowait(connection)

    async def close(self) -> None:
        """Close them all, once their queries are answered."""
        for _ in range(self._n):
            if connection := await self._free.get():
                await connection.close()
