"""Who pays when the daemon dies, is stopped, paused or held up: the job under which it died alone, and nobody else."""

import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import installed_plugin

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
KILLER = """
import asyncio
import ctypes
import os
import time

from pydantic import BaseModel
from secondunit.queue.handler import HandlerSpec


class Payload(BaseModel):
    how: str
    seconds: float = 0.5


def build(tools):
    async def run(ctx, payload):
        await asyncio.sleep(payload.seconds)
        if payload.how == "exit":
            os._exit(3)
        if payload.how == "lag":
            time.sleep(3.5)  # the loop stands still for longer than a lease
            return
        ctypes.string_at(0)

    return HandlerSpec(type="killer", payload=Payload, run=run)
"""


@pytest.fixture
def kept_alive(start: Any) -> Callable[..., Any]:
    """A supervisor: the daemon that answers, started again if it died; with how often it did."""

    def supervise(daemon: Any, until: Callable[[Any], bool], within: float) -> tuple[Any, int]:
        deaths, deadline = 0, time.monotonic() + within
        while True:
            assert time.monotonic() < deadline, daemon.log
            if daemon.process.poll() is not None:
                deaths += 1
                daemon = start(LEASE_SECONDS="6", DRAIN_SECONDS="1").ready()
            try:
                if until(daemon):
                    return daemon, deaths
            except OSError:
                pass
            time.sleep(0.1)

    return supervise


@pytest.mark.parametrize("how", ["exit", pytest.param("segfault", marks=pytest.mark.long)])
def test_three_innocent_jobs_complete_and_the_one_that_kills_the_daemon_is_poison(
    start: Any, kept_alive: Any, tmp_path: Path, how: str
) -> None:
    installed_plugin(tmp_path / "plugins", "killer", KILLER)
    daemon = start(LEASE_SECONDS="6", DRAIN_SECONDS="1").ready()
    innocent = [daemon.submit(seconds=8) for _ in range(3)]
    for job_id in innocent:
        daemon.until(job_id, "running")
    body = {"type": "killer", "payload": {"how": how}}
    guilty = daemon.call("POST", "/api/jobs", body).body["jobId"]

    def ended(daemon: Any) -> bool:
        return all(daemon.job(job_id)["finishedAt"] for job_id in (*innocent, guilty))

    daemon, deaths = kept_alive(daemon, ended, 120)
    assert [daemon.job(job_id)["status"] for job_id in innocent] == ["completed"] * 3
    job = daemon.job(guilty)
    assert (job["status"], job["error"]["class"], job["error"]["type"]) == ("failed", "deterministic", "poison"), job
    assert [run["outcome"] for run in job["attempts"]] == ["lost", "crashed", "crashed", "failed"]
    assert "3 more ran" in job["attempts"][0]["message"] and "2 of 3" in job["attempts"][2]["message"]
    assert (deaths, job["attempt"]) == (4, 1)
    told = [run for job_id in innocent for run in daemon.job(job_id)["attempts"] if run["outcome"] == "lost"]
    assert len(told) >= 3 and all("not held against it" in run["message"] for run in told)


def outcomes(daemon: Any, job_id: str) -> list[str]:
    return [run["outcome"] for run in daemon.job(job_id)["attempts"]]


def ended_runs(job_id: str, least: int, daemon: Any) -> bool:
    return len(outcomes(daemon, job_id)) >= least


def completes(daemon: Any, *job_ids: str) -> None:
    for job_id in job_ids:
        job = daemon.until(job_id, "completed", "failed")
        assert (job["status"], job["attempt"]) == ("completed", 1), job


def kill(daemon: Any) -> None:
    daemon.signal(signal.SIGKILL)
    daemon.ended()


@pytest.mark.long
@pytest.mark.parametrize("asks", [1, 2])
def test_three_hang_ups_cost_nobody_anything(start: Any, asks: int) -> None:
    daemon = start(DRAIN_SECONDS="1" if asks == 1 else "60").ready()
    job_id = daemon.submit(seconds=6)
    for _ in range(3):
        daemon.until(job_id, "running")
        for _ in range(asks):
            daemon.signal(signal.SIGHUP)
            time.sleep(0.3)
        assert daemon.ended() == 0
        daemon = start(DRAIN_SECONDS="1" if asks == 1 else "60").ready()
    completes(daemon, job_id)
    assert len(outcomes(daemon, job_id)) == 4
    assert set(outcomes(daemon, job_id)[:3]) <= {"interrupted", "lost"}


@pytest.mark.long
def test_three_pauses_that_outlast_the_lease_cost_nobody_anything(start: Any) -> None:
    daemon = start(LEASE_SECONDS="2").ready()
    job_id = daemon.submit(seconds=4)
    for n in range(3):
        daemon.until(job_id, "running")
        time.sleep(0.5)
        daemon.signal(signal.SIGSTOP)
        time.sleep(3)
        daemon.signal(signal.SIGCONT)
        until(daemon, partial(ended_runs, job_id, n + 1))
    completes(daemon, job_id)
    assert outcomes(daemon, job_id) == ["lost", "lost", "lost", "completed"]


@pytest.mark.long
def test_three_lags_that_outlast_the_lease_cost_nobody_anything(start: Any, tmp_path: Path) -> None:
    installed_plugin(tmp_path / "plugins", "killer", KILLER)
    daemon = start(LEASE_SECONDS="2").ready()
    job_id = daemon.submit(seconds=6)
    for _ in range(3):
        daemon.until(job_id, "running")
        lag = daemon.call("POST", "/api/jobs", {"type": "killer", "payload": {"how": "lag", "seconds": 0.5}})
        assert daemon.until(lag.body["jobId"], "completed", "failed")["status"] == "completed"
        daemon.until(job_id, "running", "completed")
    completes(daemon, job_id)
    assert set(outcomes(daemon, job_id)[:-1]) == {"lost"}


@pytest.mark.long
def test_three_kills_beside_innocent_jobs_end_none_of_them(start: Any) -> None:
    """Of the first nobody is accused; the others fall on whoever is tried alone, and two are not enough."""
    daemon = start().ready()
    job_ids = [daemon.submit(seconds=3) for _ in range(3)]
    for job_id in job_ids:
        daemon.until(job_id, "running")
    for _ in range(3):
        time.sleep(1)
        kill(daemon)
        daemon = start().ready()
        until(daemon, lambda daemon: any(daemon.job(job_id)["status"] == "running" for job_id in job_ids))
    completes(daemon, *job_ids)
    assert [outcomes(daemon, job_id)[0] for job_id in job_ids] == ["lost"] * 3
    assert sum(outcomes(daemon, job_id).count("crashed") for job_id in job_ids) == 2


@pytest.mark.long
def test_three_kills_under_one_job_alone_are_its_end(start: Any) -> None:
    """kill -9 and the kernel's killer of those who take too much memory look alike from within."""
    daemon = start().ready()
    job_id = daemon.submit(seconds=60)
    for _ in range(3):
        daemon.until(job_id, "running")
        kill(daemon)
        daemon = start().ready()
    job = daemon.until(job_id, "failed")
    assert (job["error"]["type"], outcomes(daemon, job_id)) == ("poison", ["crashed", "crashed", "failed"])


def until(daemon: Any, condition: Callable[[Any], bool], within: float = 20) -> None:
    deadline = time.monotonic() + within
    while not condition(daemon):
        assert time.monotonic() < deadline, daemon.log
        time.sleep(0.05)
