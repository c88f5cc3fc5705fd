"""Two daemons behind a pgbouncer in transaction mode: jobs, events, a remote lease, a kill, the pooler restarted."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.conftest import Answer, Daemon, beside, starting
from tests.pooler import Pooler, pooled
from tests.postgres_server import PostgresServer, rows, started
from tests.torture.reader import Reader

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.long]
SESSIONS = 4
CONFIG = """
[remote_types.ocr]
schema = { type = "object" }
"""
OURS = "select count(*) from pg_stat_activity where application_name = 'secondunit'"
OF_A_SESSION = re.compile(r"prepared statement|portal|temporary table")  # what another session has not


@pytest.fixture(scope="module")
def server() -> PostgresServer:
    return started()


@pytest.fixture
def pooler(server: PostgresServer) -> Iterator[Pooler]:
    with pooled(server, SESSIONS) as pooler:
        yield pooler


@pytest.fixture
def start(tmp_path: Path, pooler: Pooler, server: PostgresServer) -> Iterator[Callable[[str], Daemon]]:
    (config := tmp_path / "config.toml").write_text(CONFIG)
    queue = pooler.through(server.database())
    with starting(tmp_path) as start:

        def of(box: str) -> Daemon:
            settings = {"BOX": box, "DATA_DIR": str(tmp_path / box), "QUEUE_URL": queue, "LEASE_SECONDS": "4"}
            return start(**settings, SECONDUNIT_CONFIG=str(config))

        yield of


def until(holds: Callable[[], object], what: str, within: float = 45) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


async def read_by(reader: Reader, stack: AsyncExitStack) -> None:
    task = asyncio.create_task(reader.run())
    stack.callback(task.cancel)


def moved(source: str, target: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "secondunit", "move", "--from", source, "--to", f"sqlite:///{target}", "--json"]
    environment = {"PATH": os.environ["PATH"], "SECONDUNIT_CONFIG": os.devnull}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


def leased_here_and_ended_there(a: Daemon, b: Daemon) -> None:
    job_id = a.call("POST", "/api/jobs", {"type": "ocr", "payload": {}}).body["jobId"]
    [lease] = a.call("POST", "/api/leases", {"types": ["ocr"], "worker": "w", "waitSeconds": 20}).body["leases"]
    path = f"/api/leases/{lease['token']}"
    assert b.call("PUT", f"{path}/steps/s", {"result": 1}).status == 200
    ended = Answer(200, {"jobId": job_id, "status": "completed"})
    assert b.call("POST", f"{path}/complete", {"result": 2}) == ended


def test_two_daemons_live_their_lives_behind_a_pooler_in_transaction_mode(
    start: Callable[[str], Daemon], pooler: Pooler, server: PostgresServer, tmp_path: Path
) -> None:
    a, b = [daemon.ready() for daemon in (start("a"), start("b"))]
    reader = Reader("of a", f"http://127.0.0.1:{a.port}")
    with beside(partial(read_by, reader)):
        until(lambda: reader.reading.start >= 0, "the reader reads")
        ids = [daemon.submit(seconds=0) for daemon in (a, b) for _ in range(15)]

        leased_here_and_ended_there(a, b)
        cut = [daemon.submit(seconds=3) for daemon in (a, b) for _ in range(3)]
        until(lambda: {a.job(job_id)["status"] for job_id in cut} == {"running"}, "they run")
        b.process.kill()
        b.process.wait()
        pooler.kill()
        pooler.start()
        ids += [a.submit(seconds=0) for _ in range(5)]
        for job_id in (*ids, *cut):
            assert a.until(job_id, "completed")["attempt"] == 1, "neither kill cost an attempt"
        assert a.process.poll() is None
        queue = server.url("queue1")
        until(lambda: [reader.reading.seqs[-1:]] == rows(queue, "select max(seq) from events"), "it catches up")
    assert reader.reading.resets == 0
    assert all(after == before + 1 for before, after in pairwise(reader.reading.seqs))
    ends = "select job from events where name = 'job:completed' group by job having count(*) <> 1"
    assert rows(queue, ends) == []

    assert moved(pooler.through(queue), tmp_path / "early.db").returncode != 0, "a daemon is connected"
    a.signal(signal.SIGTERM)
    assert a.ended() == 0
    until(lambda: rows(server.url("postgres"), OURS) == [(0,)], "the pooler lets go of what it keeps in reserve")
    done = moved(pooler.through(queue), tmp_path / "moved.db")
    assert done.returncode == 0, done.stderr
    for log in (a.log, b.log, pooler.log, (server.folder / "log").read_text()):
        assert not OF_A_SESSION.findall(log), log
