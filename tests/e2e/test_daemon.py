"""The daemon as its operator meets it: a process that starts, serves, drains, dies and comes back."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e


def cli(daemon: Any, *args: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(daemon.data), "SECONDUNIT_CONFIG": os.devnull}
    command = [sys.executable, "-m", "secondunit", *args]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


def test_it_serves_runs_a_job_of_another_distribution_and_drains(start: Any) -> None:
    daemon = start().ready()
    health = daemon.call("GET", "/health")
    assert health.status == 200 and "sleep" in health.body["types"]
    job = daemon.until(daemon.submit(seconds=0), "completed")
    assert job["result"] == {"slept": 0} and job["attempt"] == 1
    metrics = daemon.call("GET", "/metrics").body
    assert 'secondunit_jobs_total{status="completed",type="sleep"} 1.0' in metrics
    daemon.signal(signal.SIGTERM)
    began = time.monotonic()
    assert daemon.ended() == 0
    assert time.monotonic() - began < 15
    messages = [json.loads(line)["message"] for line in daemon.log.splitlines()]
    assert "[Passive Mode] Starting in PASSIVE mode (default)" in messages
    assert not (daemon.data / "control.sock").exists()


def test_what_it_keeps_is_for_its_owner_alone(start: Any) -> None:
    daemon = start().ready()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (daemon.data, *daemon.data.iterdir())}
    assert modes["data"] == modes["media"] == 0o700
    assert modes["control.sock"] == modes["queue.db"] == modes["queue.db.lock"] == 0o600


def test_a_second_daemon_ends_with_75_and_names_the_first(start: Any) -> None:
    first = start().ready()
    second = start()
    assert second.ended() == 75
    assert f"process {first.process.pid}" in second.log
    assert first.call("GET", "/health").status == 200


def test_bad_settings_end_with_78_and_every_fault(start: Any) -> None:
    daemon = start(PORT="none", HOST="0.0.0.0", LEASE_SECONDS="0")
    assert daemon.ended() == 78
    assert [line.partition(":")[0] for line in daemon.log.splitlines()] == ["PORT", "LEASE_SECONDS", "HOST"]
    assert not daemon.data.exists()


def test_a_port_in_use_ends_with_78_and_names_it(start: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon = start(PORT=str(port))
        assert daemon.ended() == 78
    assert f"PORT: {port} is in use" in daemon.log


def test_a_root_that_contains_data_dir_ends_with_78_and_says_what_to_do(start: Any, tmp_path: Path) -> None:
    daemon = start(MEDIA_ROOTS=str(tmp_path))
    assert daemon.ended() == 78
    assert f"MEDIA_ROOTS: {tmp_path} contains DATA_DIR" in daemon.log


def test_a_database_of_another_program_ends_with_74_and_stays_as_it_is(start: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    database = tmp_path / "data" / "queue.db"
    database.write_bytes(b"this is no database, but somebody needs it" * 100)
    before = database.read_bytes()
    daemon = start()
    assert daemon.ended() == 74
    assert str(database) in daemon.log and database.read_bytes() == before


def test_open_event_streams_do_not_delay_the_end(start: Any) -> None:
    daemon = start().ready()
    readers = []
    for _ in range(20):
        reader = socket.create_connection(("127.0.0.1", daemon.port))
        reader.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert reader.recv(12) == b"HTTP/1.1 200"
        readers.append(reader)
    began = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.ended() == 0
    assert time.monotonic() - began < 15
    for reader in readers:
        reader.close()


def test_two_plugins_for_one_type_end_with_78(start: Any, tmp_path: Path) -> None:
    rival = tmp_path / "plugins" / "rival-1.0.dist-info"
    rival.mkdir()
    (rival / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 1.0\n")
    (rival / "entry_points.txt").write_text("[secondunit.handlers]\nrival = sleeper:build\n")
    daemon = start()
    assert daemon.ended() == 78
    assert "job type 'sleep'" in daemon.log and "rival" in daemon.log


def test_a_plugin_that_does_not_import_degrades_health(start: Any, tmp_path: Path) -> None:
    (tmp_path / "plugins" / "sleeper.py").write_text("import no_such_module\n")
    daemon = start().ready()
    health = daemon.call("GET", "/health")
    assert health.status == 200 and health.body["status"] == "degraded"
    assert any("no_such_module" in reason for reason in health.body["reasons"])
    assert 'secondunit_degraded{reason="plugin_broken"} 1.0' in daemon.call("GET", "/metrics").body


def test_a_running_job_is_completed_by_the_drain(start: Any) -> None:
    daemon = start().ready()
    job_id = daemon.submit(seconds=1.0)
    daemon.until(job_id, "running")
    daemon.signal(signal.SIGTERM)
    deadline = time.monotonic() + 30
    while daemon.call("GET", "/health").status != 503:
        assert time.monotonic() < deadline
    assert daemon.call("GET", "/health").body["status"] == "draining"
    assert daemon.call("POST", "/api/jobs", {"type": "sleep", "payload": {}}).status == 503
    assert daemon.job(job_id)["status"] == "running"
    assert daemon.ended() == 0
    assert start().ready().job(job_id)["status"] == "completed"


@pytest.mark.parametrize("twice", [False, True])
def test_a_job_that_outlasts_the_drain_goes_back_at_no_cost(start: Any, twice: bool) -> None:
    daemon = start(DRAIN_SECONDS="60" if twice else "1").ready()
    job_id = daemon.submit(seconds=3600)
    daemon.until(job_id, "running")
    began = time.monotonic()
    daemon.signal(signal.SIGTERM)
    if twice:
        time.sleep(0.2)  # signals of one number that come together are one
        daemon.signal(signal.SIGTERM)
    assert daemon.ended() == 0
    assert time.monotonic() - began < 20
    shown = json.loads(cli(daemon, "jobs", "show", job_id, "--json").stdout)
    assert (shown["status"], shown["attempt"], shown["error"]) == ("queued", 1, None)
    assert [run["outcome"] for run in shown["attempts"]] == ["interrupted"]


def test_after_a_kill_the_job_runs_again_within_seconds_and_the_attempt_stays(start: Any, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    daemon = start().ready()
    job_id = daemon.submit(seconds=3600, marks=str(marks))
    daemon.until(job_id, "running")
    while not list(marks.iterdir()):
        time.sleep(0.01)
    daemon.process.kill()
    daemon.process.wait()
    again = start().ready()
    began = time.monotonic()
    while len(list(marks.iterdir())) < 2:
        assert time.monotonic() - began < 15, again.log
        time.sleep(0.01)
    assert sorted(mark.name for mark in marks.iterdir()) == ["1-1", "1-2"]
    [run] = again.job(job_id)["attempts"]
    assert run["outcome"] == "crashed" and "1 of 3 times" in run["message"], "it was the only one that ran"


def test_systemd_hears_that_it_is_ready_and_that_it_stops(start: Any, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        daemon = start(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="300000")
        heard = systemd.recv(1000)
        assert heard.startswith(b"READY=1\n")
        assert daemon.call("GET", "/health").status == 200
        assert systemd.recv(1000) == b"WATCHDOG=1"
        daemon.signal(signal.SIGTERM)
        while not heard.startswith(b"STOPPING=1"):
            heard = systemd.recv(1000)
        assert daemon.ended() == 0


def test_who_waits_for_a_job_of_a_paused_type_is_told_and_goes_on_waiting(start: Any) -> None:
    daemon = start().ready()
    assert cli(daemon, "jobs", "pause", "sleep").returncode == 0
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(daemon.data), "SECONDUNIT_CONFIG": os.devnull}
    command = [sys.executable, "-m", "secondunit", "submit", "sleep", "-p", "seconds=0", "--wait"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as waiting:
        assert waiting.stderr is not None
        line = waiting.stderr.readline()
        assert line.startswith("sleep is paused, so job_") and waiting.poll() is None
        assert cli(daemon, "jobs", "resume", "sleep").returncode == 0
        out, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 0 and '"completed"' in out and err == ""


def test_commands_reach_the_daemon_through_its_socket(start: Any) -> None:
    daemon = start(API_KEY="a-key-that-the-socket-does-not-need").ready()
    done = cli(daemon, "submit", "sleep", "-p", "seconds=0.1", "--wait")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[-1]["status"] == "completed" and lines[-1]["result"] == {"slept": 0.1}
    assert daemon.call("GET", "/api/jobs").status == 401
    job_id = lines[-1]["jobId"]
    listed = json.loads(cli(daemon, "jobs", "list", "--type", "sleep", "--json").stdout)
    assert [job["jobId"] for job in listed["jobs"]] == [job_id] and listed["total"] == 1
    assert "completed" in cli(daemon, "jobs", "show", job_id).stdout
    refused = cli(daemon, "submit", "sleep", "-p", "minutes=1")
    assert refused.returncode == 1 and "payload.minutes" in refused.stderr
    assert cli(daemon, "jobs", "retry", job_id).returncode == 0
    waiting = json.loads(cli(daemon, "submit", "sleep", "-p", "seconds=60", "--json").stdout)["jobId"]
    assert cli(daemon, "jobs", "cancel", waiting).stdout == f"{waiting} is cancelled\n"
    assert cli(daemon, "jobs", "cancel", waiting).returncode == 1


def test_waiting_for_a_job_that_fails_ends_with_1(start: Any) -> None:
    daemon = start().ready()
    done = cli(daemon, "submit", "thumbnail", "-p", f"videoPath={daemon.data}/media/no.mp4", "-p",
               f"outputPath={daemon.data}/media/no.jpg", "--wait", "--json")  # fmt: skip
    assert done.returncode == 1
    assert json.loads(done.stdout.splitlines()[-1])["error"]["class"] == "deterministic"
