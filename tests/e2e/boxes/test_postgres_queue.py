"""Daemons on a queue in PostgreSQL: one that is killed, a server that crashes under it, two boxes on one queue."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Daemon
from tests.postgres_server import PostgresServer, rows

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def marked(marks: Path, n: int, daemon: Daemon, within: float = 30) -> list[str]:
    """The names of the runs, once there are so many."""
    deadline = time.monotonic() + within
    while len(found := sorted(mark.name for mark in marks.iterdir())) < n:
        assert time.monotonic() < deadline, (found, daemon.log)
        time.sleep(0.02)
    return found


def test_a_job_runs_again_after_a_kill_and_the_attempt_stays(start: Any, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    daemon = start("a").ready()
    done = daemon.submit(seconds=0)
    job_id = daemon.submit(seconds=3600, marks=str(marks))
    assert daemon.until(done, "completed")["result"] == {"slept": 0.0}
    marked(marks, 1, daemon)
    daemon.process.kill()
    daemon.process.wait()
    again = start("a").ready()
    assert marked(marks, 2, again) == ["1-1", "1-2"]
    [run] = again.job(job_id)["attempts"]
    assert run["outcome"] == "crashed" and "1 of 3 times" in run["message"], "it was the only one that ran"
    assert again.job(done)["status"] == "completed"
    again.signal(signal.SIGTERM)


def test_a_crash_of_the_server_costs_no_job_and_no_run(start: Any, server: PostgresServer, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    daemon = start("a", LEASE_SECONDS="30").ready()
    ids = [daemon.submit(seconds=4, marks=str(marks)) for _ in range(5)]
    marked(marks, 1, daemon)
    server.stop(signal.SIGQUIT)
    time.sleep(1)
    server.start()
    more = daemon.submit(seconds=0)
    for job_id in (*ids, more):
        job = daemon.until(job_id, "completed")
        assert len(job["attempts"]) == 1, "no run was lost with the connection"
    assert daemon.process.poll() is None


def test_what_an_operator_asks_for_is_answered_or_told_where_to_find(start: Any, tmp_path: Path, queue: str) -> None:
    daemon = start("a").ready()
    programs = {one["name"] for one in daemon.call("GET", "/api/system").body["programs"]}
    assert "postgresql" in programs and "sqlite" not in programs

    def said(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "a"), "SECONDUNIT_CONFIG": os.devnull}
        command = [sys.executable, "-m", "secondunit", *words]
        settings = environment | {"QUEUE_URL": queue}
        return subprocess.run(command, env=settings, capture_output=True, text=True, check=False)

    for runs in (True, False):
        refused = said("backup", str(tmp_path / "copy"))
        assert refused.returncode != 0 and "pg_dump" in refused.stderr and not (tmp_path / "copy").exists()
        listed = said("jobs", "list", "--json")
        assert listed.returncode == 0 and json.loads(listed.stdout)["jobs"] == [], listed.stderr
        looked = json.loads(said("doctor", "--json").stdout)["checks"]
        [database] = [one for one in looked if one["name"] == "database"]
        assert database["state"] == "ok" and "postgresql://" in database["found"], database
        if runs:
            daemon.signal(signal.SIGTERM)
            assert daemon.ended() == 0


def test_two_boxes_share_a_queue_and_one_takes_over_from_the_other(start: Any, queue: str) -> None:
    a, b = start("a", CONCURRENCY_SLEEP="2"), start("b", CONCURRENCY_SLEEP="2")
    a.ready(), b.ready()
    long = [b.submit(seconds=3600) for _ in range(4)]
    for job_id in long:
        a.until(job_id, "running")
    held: dict[object, list[object]] = {}
    for box, job_id in rows(queue, "select split_part(boot, '/', 1), id from leases join jobs on seq = job"):
        held.setdefault(box, []).append(job_id)
    assert {box: len(jobs) for box, jobs in held.items()} == {"a": 2, "b": 2}, "each has filled its own room"
    b.process.kill()
    b.process.wait()
    for job_id in held["a"]:  # of the other's jobs no run ends before the lease
        assert a.call("DELETE", f"/api/jobs/{job_id}").status in (200, 202)
        a.until(str(job_id), "cancelled")
    for job_id in held["b"]:  # taken over once their leases have run out
        deadline = time.monotonic() + 30
        while not ((job := a.job(str(job_id)))["attempts"] and job["status"] == "running"):
            assert time.monotonic() < deadline, (job, a.log)
            time.sleep(0.05)
        [run] = job["attempts"]
        assert run["outcome"] != "crashed", "a box that is gone may be cut off: no job is charged with that"
    again = start("b").ready()
    for job_id in held["b"]:
        assert again.call("DELETE", f"/api/jobs/{job_id}").status in (200, 202), "whichever box it runs on"
        again.until(str(job_id), "cancelled")
    seqs = [seq for (seq,) in rows(queue, "select seq from events order by seq")]
    assert seqs == [*range(1, len(seqs) + 1)]
    assert sorted(long) == sorted(map(str, held["a"] + held["b"]))
