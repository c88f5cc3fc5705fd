"""The clock is set an hour forth or back under a running daemon, by libfaketime; spans are left alone."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
LEASE = 9


@pytest.fixture
def set_clock(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Sets the clock of daemons that are started with the environment it returns."""
    if not LIBRARIES:
        pytest.skip("NO CLOCK IS SET: no libfaketime")
    setting = tmp_path / "faketime"

    def set_to(offset: str) -> dict[str, str]:
        setting.with_suffix(".new").write_text(offset)
        setting.with_suffix(".new").rename(setting)
        return {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(setting),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    return set_to


@pytest.mark.long
@pytest.mark.parametrize("offset", ["+3600", "-3600"])
def test_nothing_runs_twice_or_an_hour_late_when_the_clock_is_set(
    start: Any, noting: Path, tmp_path: Path, set_clock: Any, offset: str
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    daemon = start(LEASE_SECONDS=str(LEASE), **set_clock("+0")).ready()
    began_running = time.monotonic()
    running = daemon.submit(seconds=3600, marks=str(marks))
    daemon.until(running, "running")
    policy = {"maxRetries": 1, "initialDelay": 6000, "backoff": "fixed"}
    payload = {"notes": str(noting), "fails": True}
    body = {"type": "noting", "payload": payload, "retryPolicy": policy}
    asked = time.monotonic()
    failing = daemon.call("POST", "/api/jobs", body).body["jobId"]
    while not daemon.job(failing)["runAt"]:
        time.sleep(0.02)
    began = time.monotonic()
    set_clock(offset)
    job = daemon.until(failing, "failed", within=20)
    ended = time.monotonic()
    assert ended - asked > 5 and ended - began < 6 * 1.2 + LEASE, (ended - asked, ended - began, job)
    assert [run["outcome"] for run in job["attempts"]] == ["failed", "failed"]
    time.sleep(max(0.0, began + LEASE + 3 - time.monotonic()))
    assert [mark.name for mark in marks.iterdir()] == ["1-1"]
    assert daemon.job(running)["status"] == "running" and daemon.job(running)["attempts"] == []
    assert daemon.call("DELETE", f"/api/jobs/{running}").status == 200
    ran = (time.monotonic() - began_running) * 1000
    stopped = daemon.job(running)
    assert 0 < stopped["duration"] <= ran and stopped["duration"] > ran / 2, (stopped, ran)
    assert stopped["totalDuration"] == stopped["duration"]
