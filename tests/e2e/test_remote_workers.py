"""Remote workers of a running daemon: it dies under them, they freeze, and nothing is done twice."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Daemon

pytestmark = pytest.mark.e2e

CONFIG = """
[remote_types.ocr]
schema = { type = "object", properties = { page = { type = "integer" } }, required = ["page"] }
"""


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
