"""Schedules of a running daemon: what the file says, the command line, a restart; a bad file stops the start."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e.conftest import Daemon, StartDaemon, environment_of

pytestmark = pytest.mark.e2e

TABLES = """
[[schedule]]
name = "每晚 1"
cron = "30 3 29 2 *"
timezone = "Asia/Taipei"
job = { type = "sleep", payload = { seconds = 0 } }

[[schedule]]
name = "other"
cron = "0 0 1 1 *"
job = { type = "sleep", payload = {} }
"""


def command(daemon: Daemon, *words: str, **environ: str) -> Any:
    """What `secondunit schedule ... --json` prints."""
    line = [sys.executable, "-P", "-m", "secondunit", *words]
    return subprocess.run(
        line, env=environment_of(daemon.data) | environ, cwd=daemon.data.parent, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip


def told(daemon: Daemon, *words: str) -> Any:
    done = command(daemon, "schedule", *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_is_paused_stays_so_through_a_kill_and_its_run_by_hand_is_a_job(
    start: StartDaemon, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(TABLES)
    daemon = start(SECONDUNIT_CONFIG=str(file)).ready()
    assert told(daemon, "next", "每晚 1", "-n", "2")["next"][0].endswith("-02-28T19:30:00.000Z")
    assert "-02-29T03:30:00+08:00\n" in command(daemon, "schedule", "next", "每晚 1").stdout
    nightly = f"/api/schedules/{quote('每晚 1')}"
    assert daemon.call("POST", f"{nightly}/pause").body["nextAt"] is None
    job_id = told(daemon, "run", "每晚 1")["jobId"]
    assert daemon.until(job_id, "completed")["submittedBy"] == "schedule 每晚 1"
    daemon.signal(signal.SIGKILL)
    daemon.ended()
    file.write_text(TABLES.replace("other", "renamed"))
    daemon = start(SECONDUNIT_CONFIG=str(file)).ready()
    [kept, renamed] = told(daemon, "list")["schedules"]
    assert (kept["paused"], kept["lastJobId"], kept["lastStatus"]) == (True, job_id, "completed")
    assert (renamed["name"], renamed["lastAt"]) == ("renamed", None)
    assert daemon.call("POST", f"{nightly}/resume").body["nextAt"] is not None
    gone = command(daemon, "schedule", "run", "other")
    assert gone.returncode == 1 and "no schedule is called 'other'" in gone.stderr


def test_a_bad_schedule_stops_the_start_with_its_faults(start: StartDaemon, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(TABLES.replace("seconds = 0", "second = 0, marks = 1").replace('"sleep", payload = {}', '"slep"'))
    daemon = start(SECONDUNIT_CONFIG=str(file))
    assert daemon.ended() == 78
    for fault in ("schedule.每晚 1.job.payload.second:", "schedule.每晚 1.job.payload.marks:", "schedule.other.job."):
        assert fault in daemon.log, daemon.log
    plugins = {"PYTHONPATH": os.pathsep.join([str(tmp_path / "plugins"), environment_of(daemon.data)["PYTHONPATH"]])}
    checked = command(daemon, "config", "check", SECONDUNIT_CONFIG=str(file), **plugins)
    assert checked.returncode == 78 and "schedule.每晚 1.job.payload.second:" in checked.stderr
