"""kill -9 at the writes with which a schedule's run is stored, started and ended: none is doubled, none dropped."""

import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Daemon, StartDaemon

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(shutil.which("strace") is None, reason="NO KILLED CRON IS TESTED: no strace"),
    pytest.mark.skipif(not LIBRARIES, reason="NO KILLED CRON IS TESTED: no libfaketime"),
]
TABLE = """
[[schedule]]
name = "every minute"
cron = "* * * * *"
missed = "all"
overlap = "queue"
job = { type = "sleep", payload = { seconds = 0 } }
"""
BEGAN = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(seconds=30)
WRITES, STEP = 100, 7  # of the thread that writes: a life opens the store, stores the run, starts it, ends it
WRITTEN = "pwrite64,fdatasync,fsync"


def at(lives: int) -> dict[str, str]:
    """The clock of a daemon, two minutes after that of the life before; spans are left alone."""
    now = BEGAN + timedelta(minutes=2 * lives)
    return {"TZ": "UTC", "FAKETIME": f"@{now:%Y-%m-%d %H:%M:%S}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def killed_at(write: int, clock: dict[str, str], log: Path) -> Sequence[str]:
    """The command in front of the daemon's that kills it as one of its threads begins its so many'th write of a kind.

    Without --seccomp-bpf, with which strace 6.1 loses count.
    """
    traced = ["-e", f"trace={WRITTEN}", "-e", f"inject={WRITTEN}:signal=KILL:when={write}"]
    fake = [
        word
        for name, value in (clock | {"LD_PRELOAD": str(LIBRARIES[0])}).items()
        for word in ("-E", f"{name}={value}")
    ]
    return ["strace", "-f", "-o", str(log), *traced, *fake]


def test_a_kill_at_any_write_doubles_no_run_of_a_schedule_and_drops_none(start: StartDaemon, tmp_path: Path) -> None:
    (file := tmp_path / "config.toml").write_text(TABLE)
    environ = {"SECONDUNIT_CONFIG": str(file)}
    clean = start(**environ, **at(0), LD_PRELOAD=str(LIBRARIES[0])).ready()
    clean.signal(signal.SIGTERM)
    assert clean.ended() == 0

    stored = [0]
    for lives, write in enumerate(range(1, WRITES, STEP), 1):
        daemon = start(**environ, under=killed_at(write, at(lives), tmp_path / "strace.log"))
        code = ended_or_idle(daemon, lives)
        if code == 1 and "strace" in daemon.log:
            pytest.skip(f"NO KILLED CRON IS TESTED: strace is not allowed to trace here ({daemon.log})")
        assert code in (-signal.SIGKILL, 128 + signal.SIGKILL, None), daemon.log
        stored.append(runs(daemon))
        if code is None:  # this many writes were not needed any more
            break
    lives = len(stored) - 1
    told = [after - before for before, after in pairwise(stored)]
    assert 0 in told[5:] and any(told), f"no kill came before, or none after, a commit: {told}"

    last = start(**environ, **at(lives + 1), LD_PRELOAD=str(LIBRARIES[0])).ready()
    jobs, minutes = settled(last, 2 * lives)
    assert len(jobs) == minutes, f"{len(jobs)} runs in {minutes} minutes: {told}"
    failed = [job for job in jobs if (job["status"], job["attempt"]) != ("completed", 1)]
    assert not failed, "a kill is nobody's failure"


def settled(daemon: Daemon, least: int) -> tuple[Sequence[Any], int]:
    """All jobs, once all have ended, and how many minutes have passed that wanted one."""
    deadline = time.monotonic() + 180
    while True:
        assert time.monotonic() < deadline, daemon.log[-3000:]
        begun = minutes_of(daemon)
        page = daemon.call("GET", "/api/jobs?limit=500").body
        if begun == minutes_of(daemon) >= least and not page["queued"] and not page["running"]:
            return page["jobs"], begun
        time.sleep(0.2)


def minutes_of(daemon: Daemon) -> int:
    [schedule] = daemon.call("GET", "/api/schedules").body["schedules"]
    return int((datetime.fromisoformat(schedule["nextAt"]) - BEGAN) / timedelta(minutes=1))


def ended_or_idle(daemon: Daemon, lives: int) -> int | None:
    """Its exit code; None when everything due was done and it was not killed: then it is, here."""
    deadline = time.monotonic() + 180
    while (code := daemon.process.poll()) is None:
        assert time.monotonic() < deadline, daemon.log
        if runs(daemon) >= 2 * lives and idle(daemon):
            strace = daemon.process.pid
            os.kill(int(Path(f"/proc/{strace}/task/{strace}/children").read_text()), signal.SIGKILL)
            daemon.ended()
            return None
        time.sleep(0.1)
    return code


def idle(daemon: Daemon) -> bool:
    try:
        page = daemon.call("GET", "/api/jobs?limit=1").body
    except OSError:
        return False
    return not page["queued"] and not page["running"]


def runs(daemon: Daemon) -> int:
    """How many jobs there are."""
    with closing(sqlite3.connect(f"file:{daemon.data / 'queue.db'}?mode=ro", uri=True)) as connection:
        [[count]] = connection.execute("select count(*) from jobs")
    return int(count)
