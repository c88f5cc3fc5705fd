"""Remote workers by every client: the single calls, and the loop that serves a type until it is stopped."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients.conftest import Driver, Proxy
from tests.e2e.conftest import Daemon, served, starting

pytestmark = pytest.mark.e2e

CONFIG = """
[remote_types.count]
concurrency = 10
retry = { max_retries = 1, backoff = "fixed", initial_delay_ms = 100 }
[remote_types.count.schema]
type = "object"
required = ["do"]
properties = { do = { type = "string" }, n = { type = "integer" } }
"""
KEY = "open sesame"
LEASE = 3


@pytest.fixture(scope="module")
def leasing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that has a type for workers elsewhere."""
    folder = tmp_path_factory.mktemp("leasing")
    (config := folder / "config.toml").write_text(CONFIG)
    with starting(folder) as start:
        settings = {"SECONDUNIT_CONFIG": str(config), "LEASE_SECONDS": str(LEASE), "API_KEY": KEY, "MAX_UPLOAD_MB": "1"}
        yield start(**settings, RATE_LIMIT="off").ready()


@pytest.fixture
def proxy(leasing: Daemon) -> Iterator[Proxy]:
    with served(proxy := Proxy(leasing.port)):
        yield proxy


def submit(daemon: Daemon, do: str, **payload: Any) -> str:
    job = {"type": "count", "payload": {"do": do, **payload}}
    answer = daemon.call("POST", "/api/jobs", job, X_API_Key=KEY)
    assert answer.status == 201, answer
    return str(answer.body["jobId"])


def job_of(daemon: Daemon, job_id: str) -> Any:
    return daemon.call("GET", f"/api/jobs/{job_id}", X_API_Key=KEY).body


def ended(daemon: Daemon, job_id: str, *statuses: str) -> Any:
    deadline = time.monotonic() + 60
    while (job := job_of(daemon, job_id))["status"] not in (
        statuses or ("completed", "partial", "failed", "cancelled")
    ):
        assert time.monotonic() < deadline, (job, daemon.log)
        time.sleep(0.05)
    return job


def test_a_job_is_leased_worked_on_and_ended_by_single_calls(
    proxy: Proxy, by: Driver, leasing: Daemon, tmp_path: Path
) -> None:
    job_id = submit(leasing, "anything")
    [lease] = by(proxy.url, "leases_take", ["count"], "w1").value
    assert (lease["job_id"], lease["payload"], lease["attempt"], lease["steps"]) == (job_id, {"do": "anything"}, 1, {})
    token = lease["token"]
    assert by(proxy.url, "leases_renew", token, {"progress": 40, "message": "on it"}).value["cancelRequested"] is False
    assert by(proxy.url, "leases_step", token, "a/b", [1]).value == {"jobId": job_id, "name": "a/b"}
    (film := tmp_path / "film.bin").write_bytes(b"x" * 700_000)
    assert by(proxy.url, "leases_artifact", token, "film.bin", str(film)).value["size"] == 700_000
    film.write_bytes(b"x" * (1 << 21))
    assert by(proxy.url, "leases_artifact", token, "film.bin", str(film)).status == 413
    job = job_of(leasing, job_id)
    assert (job["progress"], job["message"]) == (40, "on it")
    proxy.faults = [("POST /api/leases", "lose")]
    assert by(proxy.url, "leases_partial", token, {"n": 1}, ["two"]).value == {"jobId": job_id, "status": "partial"}
    assert len(proxy.sent(f"POST /api/leases/{token}/partial")) >= 2, "its first answer was lost"
    gone = by(proxy.url, "leases_complete", token, 2)
    assert (gone.error, gone.status, gone.kind) == ("LeaseLost", 409, "lease_lost")
    other = submit(leasing, "anything")
    [lease] = by(proxy.url, "leases_take", ["count"], "w1").value
    assert by(proxy.url, "leases_release", lease["token"], "not mine").value == {"jobId": other, "status": "queued"}
    [lease] = by(proxy.url, "leases_take", ["count"], "w1").value
    assert by(proxy.url, "leases_fail", lease["token"], "deterministic", "odd", "it is").value["status"] == "failed"
    assert by(proxy.url, "leases_take", ["nobody"], "w1").error == "Invalid"


WORKERS = ("sync", "async", "node")
Begin = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def begin(leasing: Daemon, tmp_path: Path) -> Iterator[Begin]:
    """Starts a worker of one of the clients as a process of its own; what it says goes to a file of its name."""
    started: list[subprocess.Popen[bytes]] = []

    def start(kind: str, name: str, grace: float = 10) -> subprocess.Popen[bytes]:
        if kind == "node" and shutil.which("node") is None:
            pytest.skip("THE NODE CLIENT IS NOT TESTED: no node on PATH; `make tests` has one")
        here = Path(__file__).parent
        python = [sys.executable, str(here / "worker.py"), kind]
        program = ["node", str(here / "worker.mjs")] if kind == "node" else python
        with (tmp_path / name).open("wb") as said:
            argv = [*program, f"http://127.0.0.1:{leasing.port}", KEY, name, str(grace)]
            started.append(subprocess.Popen(argv, stdout=said, stderr=subprocess.STDOUT))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("kind", WORKERS)
def test_a_worker_serves_until_it_is_told_to_stop(kind: str, begin: Begin, leasing: Daemon, tmp_path: Path) -> None:
    worker = begin(kind, "w1")
    steps = ended(leasing, submit(leasing, "steps", n=3))
    assert (steps["status"], steps["result"], steps["progress"]) == ("completed", {"sum": 6}, 100)
    listed = leasing.call("GET", f"/api/jobs/{steps['jobId']}/artifacts", X_API_Key=KEY).body["artifacts"]
    assert [one["name"] for one in listed] == ["sum.txt"]
    part = ended(leasing, submit(leasing, "partial"))
    assert (part["status"], part["result"]) == ("partial", {"done": 1})
    odd = ended(leasing, submit(leasing, "refuse"))
    assert (odd["status"], odd["error"]["type"], odd["attempt"]) == ("failed", "odd", 1)
    broken = ended(leasing, submit(leasing, "break"))
    assert broken["status"] == "failed" and broken["attempt"] == 2 and "it broke" in broken["error"]["message"]
    huge = ended(leasing, submit(leasing, "huge"))
    assert (huge["status"], huge["error"]["type"], huge["attempt"]) == ("failed", "bad_result", 1)
    long = submit(leasing, "sleep", n=60)
    ended(leasing, long, "running")
    time.sleep(LEASE * 1.5)
    assert (job := job_of(leasing, long))["status"] == "running" and job["attempts"] == [], "it is renewed"
    assert leasing.call("DELETE", f"/api/jobs/{long}", X_API_Key=KEY, within=60).status == 200
    ended(leasing, long, "cancelled")
    assert "stopped: cancelled on request" in (tmp_path / "w1").read_text()
    last = ended(leasing, submit(leasing, "steps", n=1))
    assert last["result"] == {"sum": 1}
    worker.terminate()
    assert worker.wait(30) == 0, (tmp_path / "w1").read_text()


@pytest.mark.parametrize("kind", WORKERS)
def test_a_worker_that_is_stopped_gives_back_what_it_can_not_finish(
    kind: str, begin: Begin, leasing: Daemon, tmp_path: Path
) -> None:
    worker = begin(kind, "w1", grace=0.2)
    job_id = submit(leasing, "sleep", n=60)
    ended(leasing, job_id, "running")
    worker.terminate()
    assert worker.wait(30) == 0, (tmp_path / "w1").read_text()
    job = job_of(leasing, job_id)
    assert (job["status"], job["attempt"], [run["outcome"] for run in job["attempts"]]) == (
        "queued",
        1,
        ["interrupted"],
    )
    assert leasing.call("DELETE", f"/api/jobs/{job_id}", X_API_Key=KEY).status == 200


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_worker_that_is_interrupted_ends_and_gives_back_what_it_runs(
    kind: str, begin: Begin, leasing: Daemon, tmp_path: Path
) -> None:
    worker = begin(kind, "w1", grace=0.2 if kind == "sync" else 10)
    job_id = submit(leasing, "sleep", n=60)
    ended(leasing, job_id, "running")
    worker.send_signal(signal.SIGINT)
    assert worker.wait(30) != 0 and "KeyboardInterrupt" in (tmp_path / "w1").read_text()
    job = job_of(leasing, job_id)
    assert (job["status"], [run["outcome"] for run in job["attempts"]]) == ("queued", ["interrupted"])
    assert leasing.call("DELETE", f"/api/jobs/{job_id}", X_API_Key=KEY).status == 200


@pytest.mark.parametrize("kind", WORKERS)
def test_a_worker_that_has_lost_its_lease_stops_and_writes_nothing(
    kind: str, begin: Begin, leasing: Daemon, tmp_path: Path
) -> None:
    begin(kind, "w1")
    job_id = submit(leasing, "sleep", n=60)
    ended(leasing, job_id, "running")
    assert leasing.call("POST", "/api/admin/recover", {"ids": [job_id]}, X_API_Key=KEY).status == 200
    deadline = time.monotonic() + 30
    while "stopped: 409" not in (tmp_path / "w1").read_text():
        assert time.monotonic() < deadline, (tmp_path / "w1").read_text()
        time.sleep(0.05)
    ended(leasing, job_id, "running")  # again, by the same worker
    assert leasing.call("DELETE", f"/api/jobs/{job_id}", X_API_Key=KEY, within=60).status == 200
    assert ended(leasing, job_id)["status"] == "cancelled"
