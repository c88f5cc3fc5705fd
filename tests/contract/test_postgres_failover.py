"""Two PostgreSQL servers after a failover, and the old one is up again: nobody begins there, and nobody stays."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from secondunit.queue.errors import StoreBroken
from secondunit.queue.stores.postgres.inspection import inspect
from secondunit.queue.stores.postgres.store import PostgresStore
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import submit
from tests.contract.conftest import Open
from tests.postgres_server import PostgresServer, rows, started, successor_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]
IDS = "select id from jobs order by seq"


class Hosts:
    """An old primary and its successor; `both` names the old one first."""

    def __init__(self) -> None:
        self._old = started()
        self._new = successor_of(self._old)
        self._database = self._old.database().partition("@/")[2].partition("?")[0]
        self.old, self.new, self.both = self._url(self._old), self._url(self._new), self._url(self._old, self._new)

    def fail_over(self) -> None:
        """The old one is down for a moment, in which another takes its place; then there are two that write."""
        self._old.stop()
        self._new.follow(self._old)
        self._old.start()

    def promote(self) -> None:
        """The other one is there, and writes."""
        self._new.start()
        while rows(self._new.url("postgres"), "select pg_is_in_recovery()") == [(True,)]:
            time.sleep(0.02)

    def _url(self, *servers: PostgresServer) -> str:
        hosts = quote(",".join(str(server.folder) for server in servers), safe=",")
        return f"postgresql://tester@/{self._database}?host={hosts}&target_session_attrs=read-write"


@pytest.fixture
def hosts() -> Hosts:
    return Hosts()


@asynccontextmanager
async def watched(store: PostgresStore) -> AsyncIterator[ManualClock]:
    """The store's own watch goes on, by a clock of ours."""
    watching = asyncio.create_task(store.engine.watch(clock := ManualClock()))
    yield clock
    watching.cancel()
    with suppress(asyncio.CancelledError, StoreBroken):
        await watching


async def on_and_on(store: PostgresStore, clock: ManualClock) -> None:
    """Time passes, until the store is broken."""
    while True:
        await store.engine.ping()
        await clock.advance(1)
        await asyncio.sleep(0.02)


async def test_who_starts_takes_the_server_of_now_and_never_again_the_one_of_before(
    opened: Open, hosts: Hosts, tmp_path: Path
) -> None:
    note = tmp_path / "queue.db.server"
    await submit(await opened(hosts.old, note=note), "before")
    hosts.fail_over()
    hosts.promote()
    await submit(await opened(hosts.both), "after")
    await submit(await opened(hosts.both, note=note), "too")
    assert rows(hosts.old, IDS) == [("before",)] and len(rows(hosts.new, IDS)) == 3
    with pytest.raises(StoreBroken, match=r"of before a failover: it writes timeline 1, and 2 was seen") as refused:
        await opened(hosts.old, note=note)
    assert f"remove {note}" in refused.value.remedy
    with pytest.raises(StoreBroken, match="of before a failover"):
        await asyncio.to_thread(inspect, hosts.old, note)


async def test_who_stays_on_the_old_server_ends_and_begins_the_new_one_anew(opened: Open, hosts: Hosts) -> None:
    a = await opened(hosts.both)
    await submit(a, "before")
    hosts.fail_over()
    await submit(a, "lost")
    hosts.promote()
    async with watched(a) as clock:
        with pytest.raises(StoreBroken, match="went back to an earlier state"):
            await on_and_on(a, clock)
    b = await opened(hosts.both)
    assert b.generation != a.generation and rows(hosts.new, IDS) == [("before",)]
