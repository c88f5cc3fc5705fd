"""What a connection to PostgreSQL that is lost, pooled or led astray could do."""

import asyncio
import re
import socket
import threading
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from secondunit.daemon.process.clock import SystemClock
from secondunit.queue import state
from secondunit.queue.errors import StoreBroken
from secondunit.queue.model import Change, Job, Status
from secondunit.queue.outcome import Completed
from secondunit.queue.stores.postgres.connection import BEGIN, connect
from secondunit.queue.stores.postgres.store import PostgresStore, open_store
from secondunit.queue.stores.postgres.transaction import HOLD
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import ALL, NOW, by, claim, later, listened, new, settled, submit
from tests.contract.conftest import Open
from tests.pooler import pooled
from tests.postgres_server import PostgresServer, rows

SOCKET = ".s.PGSQL.5432"
HOLDS = "select 1 from pg_stat_activity where datname = current_database() and backend_xid is not null"
END_OTHERS = """
select pg_terminate_backend(pid)
from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid()"""
FENCE, COMMIT = b"update writers set op", b"commit\0"
PREPARED = re.compile(rb"(_pg3_\d+)\0([^\0]*)\0")


class Middleman:
    """Passes on what client and server say, and cuts a connection at its next commit: `before` the server has it,
    `after` it was done, or so that the server gets it `late`, when the client has given up.
    """

    def __init__(self, folder: Path, server: Path) -> None:
        self.cuts: str | None = None
        self._server = str(server / SOCKET)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / SOCKET))
        self._listener.listen()
        self._open: list[socket.socket] = [self._listener]
        self._deaf: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                self._open += [client, server]
                threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(client, server), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        known: dict[bytes, bytes] = {}
        with suppress(OSError):
            while data := client.recv(65536):
                if self.cuts and FENCE in _spelled(
                    data, known
                ):  # held until the commit is here, too, if they were parted
                    while COMMIT not in _spelled(data, known):
                        data += client.recv(65536)
                    self._cut(client, server, data)
                    return
                server.sendall(data)

    def _cut(self, client: socket.socket, server: socket.socket, data: bytes) -> None:
        how, self.cuts = self.cuts, None
        self._deaf.add(client)
        if how == "after":
            server.sendall(data)
            time.sleep(0.3)
        client.shutdown(socket.SHUT_RDWR)
        if how == "late":
            time.sleep(1.5)
            server.sendall(data)
            time.sleep(0.3)
        server.shutdown(socket.SHUT_RDWR)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if client not in self._deaf:
                    client.sendall(data)


def _spelled(data: bytes, known: dict[bytes, bytes]) -> bytes:
    """What a client says, and the statements that it calls by their names only."""
    known.update(PREPARED.findall(data))
    return data + b"".join(text + b"\0" for name, text in known.items() if b"\0%s\0" % name in data)


@pytest.fixture
def middleman(server: PostgresServer, tmp_path: Path) -> Iterator[Middleman]:
    with closing(Middleman(tmp_path, server.folder)) as middleman:
        yield middleman


@pytest.mark.parametrize("cuts", ["before", "after", "late"])
async def test_a_commit_that_is_cut_off_is_done_once(
    opened: Open, url: str, middleman: Middleman, tmp_path: Path, cuts: str, server: PostgresServer
) -> None:
    through = url.replace(quote(str(server.folder), safe=""), quote(str(tmp_path), safe=""))
    store = await opened(through, patience=20.0)
    heard = listened(store)
    await submit(store, "x")
    middleman.cuts = cuts
    shared = await store.change("x", by(state.share, NOW))
    assert middleman.cuts is None and shared.sharers == 2
    middleman.cuts = cuts
    [(_, created)] = await store.add([new("y")])
    assert created and middleman.cuts is None
    await asyncio.sleep(2.0 if cuts == "late" else 0)
    assert (await store.get("x")).sharers == 2 and (await store.find(ALL, None, 9)).total == 2
    assert [event.seq for event in heard] == [event.seq for event in await store.events(0, ALL, 9)] == [1, 2]
    await store.change("x", by(state.share, NOW))
    assert (await store.get("x")).sharers == 3


async def test_a_database_that_went_back_is_told_and_not_gone_on_with(opened: Open, url: str) -> None:
    store = await opened(patience=5.0)
    watching = asyncio.create_task(store.engine.watch(ManualClock()))
    await submit(store, "x")
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("update writers set op = op - 1")
        other.execute(END_OTHERS)
    with pytest.raises(StoreBroken, match="went back to an earlier state"):
        await submit(store, "y")
    with pytest.raises(StoreBroken, match="went back"):
        await watching


async def test_a_server_that_stays_away_breaks_the_store_after_a_while(
    opened: Open, url: str, middleman: Middleman, tmp_path: Path, server: PostgresServer
) -> None:
    store = await opened(url.replace(quote(str(server.folder), safe=""), quote(str(tmp_path), safe="")), patience=1.0)
    middleman.close()
    (tmp_path / SOCKET).unlink()
    with pytest.raises(StoreBroken):
        await submit(store, "x")
    with pytest.raises(StoreBroken):
        await submit(store, "y")


@pytest.mark.slow
@pytest.mark.parametrize("after", ["half of a pipeline", "a flush"])
async def test_one_that_is_frozen_within_a_pipeline_is_ended_by_whoever_waits(
    opened: Open, url: str, after: str
) -> None:
    store = await opened()
    watching = asyncio.create_task(store.engine.watch(SystemClock()))
    with closing(connect(url)) as frozen, suppress(psycopg.OperationalError), frozen.pipeline() as pipeline:
        for statement in (*BEGIN, HOLD):
            frozen.execute(statement)
        if after == "a flush":
            pipeline.sync()  # the server's own time-out begins
            frozen.pgconn.send_flush_request()  # and is over
        frozen.pgconn.flush()
        while not rows(url, HOLDS):
            await asyncio.sleep(0.05)
        await asyncio.wait_for(submit(store, "x"), 8)
    assert frozen.broken
    watching.cancel()


async def test_a_pooler_that_gives_each_transaction_another_session_is_no_hindrance(
    opened: Open, url: str, server: PostgresServer
) -> None:
    with pooled(server, sessions=2) as pooler:
        stores = [await opened(pooler.through(url)) for _ in range(3)]
        await _worked_by(stores)


@pytest.mark.slow
@pytest.mark.parametrize("through", ["nobody", "a pooler"])
async def test_a_write_waits_for_its_turn_whatever_time_limits_the_account_has(
    opened: Open, url: str, server: PostgresServer, through: str
) -> None:
    await (await open_store(url)).close()
    name = conninfo_to_dict(url)["dbname"]
    limits = [f"alter database {name} set {limit} = '100ms'" for limit in ("statement_timeout", "lock_timeout")]
    server.say("postgres", *limits)
    with pooled(server, sessions=2) as pooler:
        store = await opened(pooler.through(url) if through == "a pooler" else url)
        with psycopg.connect(url) as other:
            other.execute(HOLD)
            writing = asyncio.create_task(submit(store, "x"))
            done, _ = await asyncio.wait([writing], timeout=1.5)
            assert not done, await writing
        await writing


async def test_what_idled_and_was_ended_is_replaced_at_once(opened: Open, url: str) -> None:
    store = await opened(patience=0.1)  # there is no second try
    await submit(store, "x")
    for _ in range(3):
        assert (await store.find(ALL, None, 9)).total == 1
        rows(url, END_OTHERS)
    assert (await store.get("x")).id == "x"


async def _worked_by(stores: Sequence[PostgresStore]) -> None:
    await asyncio.gather(*(submit(store, *(f"{n}-{k}" for k in range(10))) for n, store in enumerate(stores)))
    ends: list[Awaitable[Job]] = []
    for n, store in enumerate(stores):
        for job in await claim(store, 10, boot=f"{n}/1"):
            assert job.lease and await store.extend([job.lease], later(60), later(1))
            await store.steps.finish(job.lease, "s", {"n": 1}, Change, NOW)
            ends.append(store.change(job.id, settled(Completed(1)), lease=job.lease))
    assert {job.status for job in await asyncio.gather(*ends)} == {Status.COMPLETED}
    assert [event.seq for event in await stores[0].events(0, ALL, 99)] == [*range(1, 91)]
