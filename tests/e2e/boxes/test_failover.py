"""The primary is lost and its standby becomes the server: one that had all, and one that was behind."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e.conftest import Daemon, beside, starting
from tests.postgres_server import PostgresServer, rows, standby_of, started
from tests.torture.reader import Reader

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(400)]
STREAMS = "select sync_state from pg_stat_replication"
STORE_FAILED = 74


class Pair:
    """A primary, its standby, and daemons that name both."""

    def __init__(self, start: Callable[..., Daemon], folder: Path) -> None:
        self.primary = started()
        self.standby = standby_of(self.primary)
        self.database = self.primary.database()
        hosts = quote(f"{self.primary.folder},{self.standby.folder}", safe=",")
        name = self.database.partition("@/")[2].partition("?")[0]
        self.url = f"postgresql://tester@/{name}?host={hosts}&target_session_attrs=read-write"
        self._start, self._folder = start, folder

    def box(self, name: str, **environ: str) -> Daemon:
        """A daemon that answers."""
        there = {"BOX": name, "DATA_DIR": str(self._folder / name), "QUEUE_URL": self.url, "LEASE_SECONDS": "20"}
        daemon = self._start(**there, **environ)
        daemon.port = int(environ.get("PORT", daemon.port))
        return daemon.ready()

    def fail_over(self) -> None:
        """The primary crashes and stays away; after a moment the standby takes its place."""
        self.primary.stop(signal.SIGQUIT)
        time.sleep(1)
        self.standby.say("postgres", "select pg_promote()")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the server that writes holds."""
        return rows(self.url, sql)

    def on(self, server: PostgresServer, sql: str) -> list[tuple[Any, ...]]:
        """What this one holds."""
        return rows(server.url(self.database.partition("@/")[2].partition("?")[0]), sql)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with starting(tmp_path) as start:
        yield Pair(start, tmp_path)


def until(holds: Callable[[], object], what: str, within: float = 90) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def configured(server: PostgresServer, setting: str, value: str, then: Callable[[], object]) -> None:
    server.say("postgres", f"alter system set {setting} = '{value}'", "select pg_reload_conf()")
    until(then, f"{setting} is {value!r}")


@contextmanager
def reading(daemon: Daemon) -> Iterator[Reader]:
    """A reader of its events, who comes back however often it is away."""
    reader = Reader("of all", f"http://127.0.0.1:{daemon.port}")

    async def read(stack: AsyncExitStack) -> None:
        task = asyncio.create_task(reader.run())
        stack.callback(task.cancel)

    with beside(partial(read)):
        until(lambda: reader.reading.start >= 0, "the reader reads")
        yield reader


def test_a_failover_to_a_standby_that_has_all_loses_nothing_and_ends_no_daemon(pair: Pair) -> None:
    primary = pair.primary
    configured(primary, "synchronous_standby_names", "*", lambda: rows(primary.url("postgres"), STREAMS) == [("sync",)])
    a, b = pair.box("a"), pair.box("b")
    with reading(b) as reader:
        ids = [daemon.submit(seconds=n % 7) for n in range(40) for daemon in (a, b)]
        until(lambda: pair.rows("select 1 from jobs where status = 'running'"), "jobs run")
        pair.fail_over()
        ids += [daemon.submit(seconds=0) for daemon in (a, b)]
        for job_id in ids:
            a.until(job_id, "completed")
        assert a.process.poll() is b.process.poll() is None
        jobs = pair.rows("select id, epoch, attempt from jobs")
        assert {id: (epoch, attempt) for id, epoch, attempt in jobs} == dict.fromkeys(ids, (1, 1)), "no run was lost"
        events = [seq for (seq,) in pair.rows("select seq from events order by seq")]
        assert events == [*range(1, 3 * len(ids) + 1)]
        until(lambda: len(reader.reading.seqs) == len(events) - reader.reading.start, "the reader catches up")
        assert reader.reading.resets == 0 and all(
            after == before + 1 for before, after in pairwise(reader.reading.seqs)
        )
        primary.start()
        a.signal(signal.SIGTERM)
        assert a.ended() == 0
        a = pair.box("a", PORT=str(a.port))
        assert b.until(a.submit(seconds=0), "completed"), "the old primary is up, first in the list, and writes"
        [[ours]] = pair.on(primary, "select count(*) from jobs")
        assert ours < len(ids) + 1 and b.process.poll() is None


def test_a_failover_to_one_that_is_behind_ends_who_knew_more_and_gives_no_number_twice(pair: Pair) -> None:
    a, b = pair.box("a"), pair.box("b")
    with reading(b) as reader:
        kept = a.submit(seconds=0)
        runs = a.submit(seconds=3600)
        for job_id, status in ((kept, "completed"), (runs, "running")):
            a.until(job_id, status)
        until(lambda: pair.on(pair.standby, "select 1 from events having count(*) >= 5"), "the standby has it")
        configured(pair.standby, "primary_conninfo", "", lambda: not rows(pair.primary.url("postgres"), STREAMS))
        lost = [a.submit(seconds=0) for _ in range(5)]
        for job_id in lost:
            b.until(job_id, "completed")
        [[before]] = pair.rows("select value from meta where key = 'generation'")
        pair.fail_over()
        assert a.ended(90) == b.ended(90) == STORE_FAILED
        assert all("went back to an earlier state" in one.log for one in (a, b)), "each says why"
        assert reader.reading.resets == 0
        a, b = pair.box("a", PORT=str(a.port)), pair.box("b", PORT=str(b.port))
        until(lambda: reader.reading.resets, "the reader is told")
        [[after]] = pair.rows("select value from meta where key = 'generation'")
        assert after != before
        assert a.job(kept)["status"] == "completed"
        assert [a.call("GET", f"/api/jobs/{job_id}").status for job_id in lost] == [404] * 5
        again = a.until(runs, "running")
        assert len(again["attempts"]) == 1
        [[epoch]] = pair.rows("select max(epoch) from jobs where status = 'running'")
        assert epoch > 2**32, "no run of before can write"
        fresh = b.submit(seconds=0)
        assert a.until(fresh, "completed")
