"""A box's queue moves to PostgreSQL and back by the command, with jobs, callbacks and readers of events under way."""

import json
import signal
import sqlite3
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.boxes.move_command import moved, said
from tests.e2e.conftest import Daemon, served, starting
from tests.ports import free_port
from tests.postgres_server import PostgresServer, rows, started

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
ENDED = ("job:completed", "job:failed", "job:cancelled", "job:partial")


@pytest.fixture(scope="module")
def server() -> PostgresServer:
    return started()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Starts daemons of one box, whose queue is where it is told."""
    with starting(tmp_path) as start:

        def of(**environ: str) -> Daemon:
            settings = {"BOX": "a", "CONCURRENCY_SLEEP": "1", "LEASE_SECONDS": "2"}
            daemon: Daemon = start(**settings | environ)
            return daemon.ready()

        yield of


class Reader:
    """A reader of events that remembers the last one's id."""

    def __init__(self, last_id: str) -> None:
        self.last_id = last_id
        self.seqs: list[int] = []
        self.ends: Counter[str] = Counter()

    def read(self, daemon: Daemon, until: int) -> None:
        """Go on behind the last one, until so many jobs have ended."""
        headers = {"Last-Event-ID": self.last_id}
        request = urllib.request.Request(f"http://127.0.0.1:{daemon.port}/api/events", headers=headers)
        with urllib.request.urlopen(request, timeout=60) as stream:  # noqa: S310  our own daemon's address
            while len(self.ends) < until:
                field, _, value = stream.readline().decode().rstrip("\n").partition(": ")
                if field == "id":
                    self.last_id = value
                    self.seqs.append(int(value.rpartition("-")[2]))
                elif field == "data" and (told := json.loads(value))["type"] in ENDED:
                    self.ends[told["jobId"]] += 1


@pytest.fixture
def receiver() -> Iterator[Any]:
    """Takes callbacks once it is willing to, and counts them by job."""
    got: Counter[str] = Counter()

    class Receiver(BaseHTTPRequestHandler):
        willing = False

        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if Receiver.willing:
                got[told["jobId"]] += 1
            self.send_response(204 if Receiver.willing else 503)
            self.end_headers()

        def log_message(self, *args: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    with served(server):
        yield f"http://127.0.0.1:{server.server_port}/", Receiver, got


def before_all(database: Path) -> str:
    """The id after which every event comes."""
    with closing(sqlite3.connect(database)) as file:
        [generation] = file.execute("select value from meta where key = 'generation'").fetchone()
    return f"{generation}-0"


def wait_for(got: Counter[str], jobs: set[str]) -> None:
    deadline = time.monotonic() + 60
    while set(got) != jobs:
        assert time.monotonic() < deadline, got
        time.sleep(0.05)


def tries_of(daemon: Daemon, job_id: str) -> list[Any]:
    [delivery] = daemon.call("GET", f"/api/jobs/{job_id}/deliveries").body["deliveries"]
    tries: list[Any] = delivery["tries"]
    return tries


def test_jobs_callbacks_and_readers_go_on_where_they_were(
    start: Any, server: PostgresServer, tmp_path: Path, receiver: Any
) -> None:
    address, post, got = receiver
    home, away = f"sqlite:///{tmp_path / 'data' / 'queue.db'}", server.database()
    daemon = start(ALLOW_PRIVATE_ADDRESSES="127.0.0.0/8")
    body = {"type": "sleep", "payload": {"seconds": 0}, "callback": address}
    first = [daemon.call("POST", "/api/jobs", body).body["jobId"] for _ in range(3)]
    for job_id in first:
        daemon.until(job_id, "completed")
    reader = Reader(before_all(tmp_path / "data" / "queue.db"))
    reader.read(daemon, 3)
    ran = daemon.submit(until=str(tmp_path / "go"))
    waits = [daemon.submit(seconds=0) for _ in range(3)]
    daemon.until(ran, "running")
    refused = said("--from", home, "--to", away)
    assert refused.returncode == 1 and f"process {daemon.process.pid}" in refused.stderr, "it runs"
    daemon.process.kill()
    daemon.process.wait()
    found = {one["table"]: one["rows"] for one in moved(home, away)["tables"]}
    assert found["jobs"] == {"from": 7, "to": 7} and found["deliveries"] == {"from": 3, "to": 3}
    post.willing = True
    again = start(QUEUE_URL=away, ALLOW_PRIVATE_ADDRESSES="127.0.0.0/8")
    (tmp_path / "go").touch()
    reader.read(again, 7)
    assert [run["outcome"] for run in again.until(ran, "completed")["attempts"]] == ["crashed", "completed"]
    assert all(again.job(job_id)["status"] == "completed" for job_id in waits)
    wait_for(got, set(first))
    again.signal(signal.SIGTERM)
    assert again.ended() == 0
    back = f"sqlite:///{tmp_path / 'data' / 'back.db'}"
    moved(away, back)
    home_again = start(QUEUE_URL=back, ALLOW_PRIVATE_ADDRESSES="127.0.0.0/8")
    last = home_again.submit(seconds=0)
    reader.read(home_again, 8)
    assert home_again.until(last, "completed")["status"] == "completed"
    assert reader.seqs == [*range(reader.seqs[0], reader.seqs[0] + len(reader.seqs))], "no gap, no repeat"
    assert set(reader.ends.values()) == {1}, "each ended once"
    tries = [tries_of(home_again, job_id) for job_id in first]
    assert all(len(of_one) >= 2 for of_one in tries), "those before the move, and the one after it"
    assert rows(away, "select count(*) from jobs") == [(7,)], "a source stays as it is"
    assert set(got.values()) == {1}, "a callback that was delivered before the way back is not sent again"


def test_a_password_is_shown_nowhere_and_a_wrong_url_is_wrong_usage(tmp_path: Path) -> None:
    source = f"sqlite:///{tmp_path / 'queue.db'}"
    for target in (f"postgresql://u:hush@127.0.0.1:{free_port()}/db", "postgresql://u@/db?host=/none&password=hush"):
        done = said("--from", target, "--to", source)
        assert done.returncode == 1 and "not moved: " in done.stderr
        assert "hush" not in done.stdout + done.stderr
    for url in ("mysql://u:hush@h/db", "postgresql://u:hush@h", "sqlite://", "queue.db", "postgresql://u:hush@[h/db"):
        done = said("--from", source, "--to", url)
        assert done.returncode == 2 and "Invalid value for '--to'" in done.stderr, done.stderr
        assert "hush" not in done.stdout + done.stderr
