"""PostgreSQL engine, as its operator sees it: a server of somebody's, who also backs it up."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from secondunit.queue.clock import Clock
from secondunit.queue.errors import StoreBroken
from secondunit.queue.ports.engine import Snapshot
from secondunit.queue.stores.postgres.failover.servers import Servers
from secondunit.queue.stores.postgres.readers import PostgresReaders
from secondunit.queue.stores.postgres.writer import PostgresWriter

WATCH_EVERY, FOLLOW_TIME_EVERY, LOOK_EVERY = 1.0, 10, 15  # seconds, watches
# Sessions of daemons that are frozen or cut off within a transaction, whose locks others may wait for. The server's own
# time-out sees them only between two whole pipelines, not when the client stood still after half of one.
END_STUCK = """
select pg_terminate_backend(pid)
from pg_stat_activity
where datname = current_database() and usename = current_user and application_name = current_setting('application_name')
  and state <> 'idle' and wait_event_type = 'Client' and backend_xid is not null
  and greatest(query_start, state_change) < now() - interval '3 s'"""
TIME = "select clock_timestamp()"

Follow = Callable[[datetime], None]


class PostgresEngine:
    """The Engine port; see `secondunit.queue.ports.engine.Engine`."""

    reserve, unchecked = None, False  # its disk and its pages are its server's to guard

    def __init__(
        self, writer: PostgresWriter, readers: PostgresReaders, servers: Servers, follow: Follow | None = None
    ) -> None:
        self._writer = writer
        self._readers = readers
        self._servers = servers
        self._follow = follow

    @property
    def versions(self) -> Mapping[str, str]:
        return {"postgresql": self._writer.version}

    @property
    def waiting(self) -> int:
        return self._writer.commits.waiting

    async def ping(self) -> None:
        await self._writer.run(lambda tx: tx.execute("select 1"))

    async def watch(self, clock: Clock) -> None:
        for n in count(1):
            timer: asyncio.Future[None] = asyncio.ensure_future(clock.sleep(WATCH_EVERY))
            waits: list[asyncio.Future[Any]] = [timer, self._writer.commits.failure]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            timer.cancel()
            if self._writer.commits.failure.done():
                raise self._writer.commits.failure.result()
            if self.waiting:
                await self._readers.fetch(END_STUCK)
            if n % FOLLOW_TIME_EVERY == 0:
                await self.follow_time()
            if n % LOOK_EVERY == 0:
                await self._servers.look()

    async def follow_time(self) -> None:
        """Tell whoever wants to go by the server's clock what it says."""
        if self._follow:
            [[at]] = await self._readers.fetch(TIME)
            self._follow(at)

    def owns(self, path: Path) -> bool:  # noqa: ARG002  it is the port's
        return False

    async def snapshot(self, target: Path, secrets: Mapping[str, Collection[str]]) -> Snapshot:  # noqa: ARG002  as above
        raise StoreBroken(
            f"{target}: a PostgreSQL queue is not copied from here; use PostgreSQL's own means, for example "
            "`pg_dump --format=custom --file=FILE QUEUE_URL`, and `pg_restore` to put it back"
        )
