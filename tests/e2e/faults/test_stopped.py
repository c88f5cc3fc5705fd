"""A daemon that was stopped past its lease, and children that ignore SIGTERM."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
Programs = Callable[[], dict[int, str]]


def notes_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def until(condition: Callable[[], Any], within: float = 20.0) -> Any:
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def running(daemon: Any, notes: Path) -> tuple[str, int]:
    """A job whose program runs, and the program's process id."""
    answer = daemon.call("POST", "/api/jobs", {"type": "noting", "payload": {"notes": str(notes)}})
    [_, pid] = until(lambda: notes_of(notes)[1:2])[0]
    return str(answer.body["jobId"]), pid


def test_a_run_that_lost_its_lease_while_the_daemon_was_stopped_writes_nothing(
    start: Any, noting: Path, programs: Programs
) -> None:
    daemon = start(LEASE_SECONDS="1").ready()
    job_id, old = running(daemon, noting)
    daemon.signal(signal.SIGSTOP)
    time.sleep(2)
    daemon.signal(signal.SIGCONT)
    until(lambda: any(epoch == 2 for epoch, _ in notes_of(noting)))
    assert old not in programs()
    notes = notes_of(noting)
    assert [epoch for epoch, _ in notes] == sorted(epoch for epoch, _ in notes), notes
    assert [1, "LeaseLost"] in notes
    job = daemon.job(job_id)
    assert (job["status"], job["attempt"]) == ("running", 1)
    assert [run["outcome"] for run in job["attempts"]] == ["lost"]
    assert daemon.call("DELETE", f"/api/jobs/{job_id}").status == 200


def test_a_short_stop_costs_nothing(start: Any, noting: Path) -> None:
    daemon = start(LEASE_SECONDS="3").ready()
    job_id, _ = running(daemon, noting)
    daemon.signal(signal.SIGSTOP)
    time.sleep(1)
    daemon.signal(signal.SIGCONT)
    time.sleep(3)
    assert daemon.job(job_id)["attempts"] == [] and {epoch for epoch, _ in notes_of(noting)} == {1}


def test_a_cancelled_jobs_program_that_ignores_sigterm_is_gone_when_the_cancellation_is_answered(
    start: Any, noting: Path, programs: Programs
) -> None:
    daemon = start().ready()
    job_id, pid = running(daemon, noting)
    began = time.monotonic()
    assert daemon.call("DELETE", f"/api/jobs/{job_id}").body["status"] == "cancelled"
    assert pid not in programs() and time.monotonic() - began < 30


@pytest.mark.parametrize("twice", [pytest.param(False, marks=pytest.mark.long), True])
def test_a_program_that_ignores_sigterm_does_not_hold_up_the_end(
    start: Any, noting: Path, programs: Programs, twice: bool
) -> None:
    daemon = start(DRAIN_SECONDS="60" if twice else "1").ready()
    job_id, _ = running(daemon, noting)
    began = time.monotonic()
    daemon.signal(signal.SIGTERM)
    if twice:
        time.sleep(0.3)
        daemon.signal(signal.SIGTERM)
    assert daemon.ended() == 0 and not programs()
    assert time.monotonic() - began < 30
    again = start().ready()
    until(lambda: any(epoch == 2 for epoch, _ in notes_of(noting)))
    assert [run["outcome"] for run in again.job(job_id)["attempts"]] == ["interrupted"]


def test_no_program_outlives_a_killed_daemon(start: Any, noting: Path, programs: Programs) -> None:
    daemon = start().ready()
    running(daemon, noting)
    daemon.process.kill()
    daemon.process.wait()
    until(lambda: not programs(), 5)


def test_signals_that_come_while_it_ends_change_nothing(start: Any) -> None:
    daemon = start().ready()
    deadline = time.monotonic() + 30
    while daemon.process.poll() is None:
        assert time.monotonic() < deadline
        daemon.signal(signal.SIGTERM)
        time.sleep(0.001)
    assert daemon.process.returncode == 0
