"""Remote workers of a running daemon: it dies under them, they freeze, and nothing is done twice."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import CHECKOUT, Daemon

pytestmark = pytest.mark.e2e

CONFIG = """
[remote_types.ocr]
schema = { type = "object", properties = { page = { type = "integer" } }, required = ["page"] }
"""
WORDS = """
[remote_types.words]
[remote_types.words.schema]
type = "object"
required = ["pages"]
properties = { pages = { type = "array", items = { type = "string" } } }
"""
EXAMPLE = CHECKOUT / "examples" / "worker" / "leases.mjs"


def submit(daemon: Daemon) -> str:
    answer = daemon.call("POST", "/api/jobs", {"type": "ocr", "payload": {"page": 1}})
    assert answer.status == 201
    return str(answer.body["jobId"])


def take(daemon: Daemon, worker: str, wait: float = 20) -> dict[str, Any]:
    [lease] = daemon.call(
        "POST", "/api/leases", {"types": ["ocr"], "worker": worker, "waitSeconds": wait}, within=60
    ).body["leases"]
    return dict(lease)


def test_a_lease_outlives_the_daemon_and_a_frozen_worker_writes_nothing(start: Any, tmp_path: Path) -> None:
    (config := tmp_path / "config.toml").write_text(CONFIG)
    settings = {"SECONDUNIT_CONFIG": str(config), "LEASE_SECONDS": "2"}
    daemon = start(**settings).ready()
    job_id = submit(daemon)
    path = f"/api/leases/{take(daemon, 'w1')['token']}"
    daemon.process.kill()
    daemon.process.wait()
    time.sleep(2.5)  # longer than the lease

    daemon = start(**settings).ready()
    renewed = daemon.call("PUT", path, {"progress": 50})
    assert renewed.status == 200, renewed
    later = take(daemon, "w2")  # w1 is silent from now on, as one that is stopped
    assert (later["jobId"], later["attempt"], later["epoch"]) == (job_id, 1, 2)
    for method, end, body in (
        ("PUT", "", {}),
        ("POST", "/complete", {"result": "stale"}),
        ("PUT", "/steps/a", {"result": 1}),
    ):
        assert daemon.call(method, path + end, body).status == 409
    done = daemon.call("POST", f"/api/leases/{later['token']}/complete", {"result": "fresh"})
    assert done.body == {"jobId": job_id, "status": "completed"}
    job = daemon.call("GET", f"/api/jobs/{job_id}").body
    assert job["result"] == "fresh"


@pytest.fixture
def words(start: Any, tmp_path: Path) -> Daemon:
    (config := tmp_path / "config.toml").write_text(WORDS)
    daemon: Daemon = start(SECONDUNIT_CONFIG=str(config), LEASE_SECONDS="2").ready()
    return daemon


@pytest.fixture
def worker(words: Daemon, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts the example worker; its words go to a file of its name."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node on PATH")
    started: list[subprocess.Popen[bytes]] = []

    def begin(name: str, pause_ms: int = 0) -> subprocess.Popen[bytes]:
        environ = {
            "PATH": os.environ["PATH"],
            "PROCESSOR_URL": f"http://127.0.0.1:{words.port}",
            "WORKER": name,
            "PAUSE_MS": str(pause_ms),
        }
        with (tmp_path / name).open("wb") as said:
            process = subprocess.Popen([node, EXAMPLE], env=environ, stdout=said, stderr=subprocess.STDOUT)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def counted(words: Daemon) -> str:
    payload = {"pages": ["one two", "three", "four five six"]}
    return str(words.call("POST", "/api/jobs", {"type": "words", "payload": payload}).body["jobId"])


def ended(words: Daemon, job_id: str) -> dict[str, Any]:
    until(lambda: words.job(job_id)["status"] == "completed")
    job = words.job(job_id)
    assert job["result"] == {"words": 6}
    [counts] = words.call("GET", f"/api/jobs/{job_id}/artifacts").body["artifacts"]
    assert (counts["name"], counts["size"]) == ("counts.json", len("[2,1,3]"))
    return dict(job)


def test_what_a_killed_worker_has_done_is_not_done_again(words: Daemon, worker: Any, tmp_path: Path) -> None:
    first = worker("first", 700)
    job_id = counted(words)
    until(lambda: "page-1" in (tmp_path / "first").read_text())
    first.kill()
    worker("second")
    job = ended(words, job_id)
    assert "page-1" not in (tmp_path / "second").read_text()
    assert (job["attempt"], len(job["attempts"])) == (1, 2)


def test_a_worker_that_was_frozen_past_its_lease_writes_nothing_and_works_on(
    words: Daemon, worker: Any, tmp_path: Path
) -> None:
    first = worker("first", 700)
    job_id = counted(words)
    until(lambda: "page-1" in (tmp_path / "first").read_text())
    first.send_signal(signal.SIGSTOP)
    second = worker("second")
    before = ended(words, job_id)
    second.kill()
    first.send_signal(signal.SIGCONT)
    until(lambda: "was given up" in (tmp_path / "first").read_text())
    assert "lease_lost" in (tmp_path / "first").read_text()
    assert words.job(job_id) == before
    later = counted(words)
    ended(words, later)
