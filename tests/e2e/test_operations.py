"""What an operator does: recover, check, retry, pause, backup, restore."""

import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e


def cli(data: Path, *args: str, feed: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(data), "SECONDUNIT_CONFIG": os.devnull}
    command = [sys.executable, "-m", "secondunit", *args]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False, input=feed)


def killed(daemon: Any) -> None:
    daemon.process.kill()
    daemon.process.wait()


def test_recover_lists_asks_and_takes_a_job_from_its_run(start: Any, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    daemon = start().ready()
    job_id = daemon.submit(seconds=3600, marks=str(marks))
    daemon.until(job_id, "running")
    assert "no running job is stuck" in cli(daemon.data, "recover").stdout
    time.sleep(1.1)
    listed = cli(daemon.data, "recover", "--timeout", "1", "--dry-run")
    assert job_id in listed.stdout and "sleep" in listed.stdout and "api" in listed.stdout
    assert cli(daemon.data, "recover", "--timeout", "1", feed="n\n").returncode == 0
    assert daemon.job(job_id)["attempts"] == []
    done = json.loads(cli(daemon.data, "recover", "--timeout", "1", "--yes", "--json").stdout)
    assert done["recovered"] == 1 and done["stuck"][0]["jobId"] == job_id
    deadline = time.monotonic() + 30
    while len(list(marks.iterdir())) < 2:
        assert time.monotonic() < deadline, daemon.log
        time.sleep(0.02)
    job = daemon.job(job_id)
    assert job["attempts"][0]["outcome"] == "recovered" and job["attempt"] == 1


def test_without_a_daemon_recover_frees_every_running_job(start: Any) -> None:
    daemon = start().ready()
    job_id = daemon.submit(seconds=3600)
    daemon.until(job_id, "running")
    killed(daemon)
    assert job_id in cli(daemon.data, "recover", "--dry-run").stdout
    assert "1 job is queued again" in cli(daemon.data, "recover", feed="y\n").stdout
    assert json.loads(cli(daemon.data, "jobs", "show", job_id, "--json").stdout)["status"] == "queued"


def test_check_says_whether_a_restart_would_disturb_anything(start: Any) -> None:
    daemon = start().ready()
    idle = cli(daemon.data, "check")
    assert idle.returncode == 0 and "safe" in idle.stdout
    job_id = daemon.submit(seconds=3600)
    daemon.until(job_id, "running")
    busy = cli(daemon.data, "check")
    assert busy.returncode == 1 and job_id in busy.stdout and "not safe" in busy.stdout
    found = json.loads(cli(daemon.data, "check", "--json").stdout)
    assert found["safe"] is False and found["running"][0]["paidSteps"] == []
    killed(daemon)
    left = cli(daemon.data, "check")
    assert left.returncode == 1 and "not safe, recover first" in left.stdout and job_id in left.stdout
    assert json.loads(cli(daemon.data, "check", "--json").stdout)["safe"] is False
    cli(daemon.data, "recover", "--yes")
    assert cli(daemon.data, "check").returncode == 0


def test_check_never_calls_safe_what_it_can_t_know(start: Any, tmp_path: Path) -> None:
    nowhere = cli(tmp_path / "elsewhere", "check")
    assert nowhere.returncode == 3 and f"no queue at {tmp_path}/elsewhere" in nowhere.stdout
    assert json.loads(cli(tmp_path / "elsewhere", "check", "--json").stdout)["safe"] is None
    daemon = start().ready()
    daemon.data.joinpath("control.sock").unlink()  # it runs, and can't be asked
    mute = cli(daemon.data, "check")
    assert mute.returncode == 3 and "the daemon does not answer" in mute.stdout, mute


def test_restore_refuses_before_it_asks(start: Any, tmp_path: Path) -> None:
    daemon = start().ready()
    assert cli(daemon.data, "backup", str(tmp_path / "copy.db")).returncode == 0
    refused = cli(daemon.data, "restore", str(tmp_path / "copy.db"))
    assert refused.returncode == 1 and "stop the daemon first" in refused.stderr
    assert refused.stdout == "", "it asked for something that it then refuses"


def test_lists_show_what_a_job_works_on_and_scripts_get_bare_ids(start: Any) -> None:
    daemon = start().ready()
    job_id = daemon.submit(seconds=3600, marks="")
    lines = cli(daemon.data, "jobs", "list").stdout.splitlines()
    assert "INPUT" in lines[0] and "AGE" in lines[0] and " s " in lines[1]
    assert cli(daemon.data, "jobs", "list", "--quiet").stdout == f"{job_id}\n"
    done = cli(daemon.data, "submit", "sleep", "--wait", "--quiet").stdout
    assert daemon.job(done.strip())["status"] == "completed"


def test_jobs_are_retried_by_the_dozen_with_an_honest_count_and_types_are_paused(start: Any) -> None:
    daemon = start().ready()
    assert cli(daemon.data, "jobs", "pause", "sleep").returncode == 0
    told = cli(daemon.data, "submit", "sleep", "-p", "seconds=0")
    assert "sleep is paused" in told.stderr and "jobs resume sleep" in told.stderr
    listed = cli(daemon.data, "jobs", "list", "--status", "queued").stdout
    assert "sleep is paused" in listed
    assert cli(daemon.data, "jobs", "cancel", told.stdout.split()[0]).returncode == 0
    ids = [daemon.submit(seconds=0) for _ in range(3)]
    assert cli(daemon.data, "jobs", "cancel", ids[0]).returncode == 0
    assert "2 jobs are cancelled" in cli(daemon.data, "jobs", "cancel", "--status", "queued").stdout
    assert cli(daemon.data, "jobs", "retry").returncode == 2
    assert "0 jobs" in cli(daemon.data, "jobs", "retry", "--status", "failed", "--type", "sleep").stdout
    assert "4 jobs are queued again" in cli(daemon.data, "jobs", "retry", "--status", "cancelled").stdout
    assert {daemon.job(id)["status"] for id in ids} == {"queued"}
    assert cli(daemon.data, "jobs", "resume", "sleep").returncode == 0
    for id in ids:
        daemon.until(id, "completed")
    assert cli(daemon.data, "jobs", "deliveries", ids[0]).stdout == "nobody asked to be told\n"


def test_a_backup_taken_while_jobs_run_is_restored_with_new_epochs_and_a_new_generation(
    start: Any, tmp_path: Path
) -> None:
    daemon = start().ready()
    done = daemon.submit(seconds=0)
    daemon.until(done, "completed")
    running = daemon.submit(seconds=3600)
    daemon.until(running, "running")
    old_id = _last_event_id(daemon)
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "mine.db").write_text("somebody else's")
    for _ in range(4):
        assert cli(daemon.data, "backup", str(folder), "--keep", "2").returncode == 0
    taken = sorted(file.name for file in folder.glob("*.db"))
    assert sorted(file.name for file in folder.glob("*.verified")) == [f"{name}.verified" for name in taken[1:]]
    assert len(taken) == 3 and taken[0] == "mine.db"
    assert (folder / taken[1]).stat().st_mode & 0o777 == 0o600
    later = daemon.submit(seconds=3600)
    refused = cli(daemon.data, "restore", str(folder / taken[2]), "--yes")
    assert refused.returncode == 1 and "stop the daemon first" in refused.stderr
    assert cli(daemon.data, "backup", str(daemon.data / "queue.db")).returncode == 1
    killed(daemon)
    bad = cli(daemon.data, "restore", str(folder / "mine.db"), "--yes")
    assert bad.returncode == 1 and "nothing was restored" in bad.stderr
    restored = cli(daemon.data, "restore", str(folder / taken[2]), "--yes")
    assert restored.returncode == 0 and "secondunit run" in restored.stdout
    assert list(daemon.data.glob("queue.db.before-restore-*"))
    with closing(sqlite3.connect(daemon.data / "queue.db")) as database:
        assert database.execute("select min(epoch) from jobs").fetchone()[0] >= 2**32
    again = start().ready()
    assert again.job(done)["status"] == "completed" and again.call("GET", f"/api/jobs/{later}").status == 404
    assert again.until(running, "running")["attempt"] == 1
    assert _first_message(again, old_id)["type"] == "reset"


def _last_event_id(daemon: Any) -> str:
    """The generation of this database's events, with the first number."""
    with closing(sqlite3.connect(daemon.data / "queue.db")) as database:
        [generation] = database.execute("select value from meta where key = 'generation'").fetchone()
    return f"{generation}-1"


def _first_message(daemon: Any, last_id: str) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{daemon.port}/api/events", headers={"Last-Event-ID": last_id})
    with urllib.request.urlopen(request, timeout=10) as stream:  # noqa: S310  our own daemon's address
        for line in stream:
            if line.startswith(b"data:"):
                return json.loads(line[5:])
    raise AssertionError("no message came")
