"""Every way out of the process: a documented code, in time, whatever stands still, exits, hangs or signals."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.faults.mischief_plugin import STANDS_STILL

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
Mischief = Callable[[Any, str], str]
Programs = Callable[[], dict[int, str]]
# One that lets others have the lock of Python and one that keeps it; how else it is kept or let go matters little.
ALWAYS = ("blocking_call", "extension_that_computes")
KINDS = [how if how in ALWAYS else pytest.param(how, marks=pytest.mark.long) for how in STANDS_STILL]
HARDEST = [how if how == ALWAYS[1] else pytest.param(how, marks=pytest.mark.long) for how in STANDS_STILL]
AS_PID_1 = ("unshare", "--pid", "--fork", "--kill-child")


def stood_still(daemon: Any) -> None:
    """Wait until the loop no longer answers."""
    deadline = time.monotonic() + 20
    while daemon.process.poll() is None and answers(daemon):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answers(daemon: Any) -> bool:
    try:
        daemon.call("GET", "/health", within=0.5)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("how", HARDEST)
def test_a_loop_that_stands_still_ends_with_70_and_a_traceback_and_leaves_nobody(
    start: Any, mischief: Mischief, programs: Programs, how: str
) -> None:
    daemon = start(STUCK_SECONDS="4").ready()
    job_id = mischief(daemon, how)
    assert daemon.ended() == 70
    traceback = daemon.log.partition("most recent call first")[2]
    assert "mischief.py" in traceback or "re/__init__.py" in traceback  # where a thread matches, it is not on the way
    assert not programs()
    again = start().ready()
    assert again.job(job_id)["type"] == "mischief"


@pytest.mark.parametrize("how", KINDS)
def test_a_second_signal_stops_a_loop_that_stands_still(start: Any, mischief: Mischief, how: str) -> None:
    daemon = start(STUCK_SECONDS="60").ready()
    mischief(daemon, how)
    stood_still(daemon)
    time.sleep(2)
    daemon.signal(signal.SIGTERM)
    time.sleep(0.8)
    daemon.signal(signal.SIGTERM)
    assert daemon.ended(10) == 0


@pytest.mark.parametrize("how", ["thread_that_stays", "thread_that_hangs", "deaf"])
def test_no_thread_and_no_handler_holds_up_the_end(start: Any, mischief: Mischief, how: str) -> None:
    daemon = start(DRAIN_SECONDS="1").ready()
    daemon.until(mischief(daemon, how), "running", "completed")
    time.sleep(0.4)
    daemon.signal(signal.SIGTERM)
    assert daemon.ended(1 + 10 + 4) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("after", [0.4, 0.8, 1.4, 2.2])
def test_a_signal_while_it_starts_ends_it_with_0(start: Any, number: signal.Signals, after: float) -> None:
    daemon = start()
    while not has_handlers(daemon):
        assert daemon.process.poll() is None
    time.sleep(after - 0.4)
    daemon.signal(number)
    assert daemon.ended(20) == 0


def has_handlers(daemon: Any) -> bool:
    """Whether all are in place: before, Python itself is not up yet."""
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> signal.SIGPWR - 1 & 1)


def test_a_hangup_drains_and_other_signals_do_nothing(start: Any) -> None:
    daemon = start().ready()
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGPROF, signal.SIGIO):
        daemon.signal(number)
    job_id = daemon.submit(seconds=1.0)
    daemon.until(job_id, "running")
    daemon.signal(signal.SIGHUP)
    assert daemon.ended(20) == 0
    assert start().ready().job(job_id)["status"] == "completed"


def test_sigquit_writes_what_every_thread_does_into_the_log(start: Any) -> None:
    daemon = start().ready()
    daemon.signal(signal.SIGQUIT)
    assert daemon.call("GET", "/health").status == 200
    assert "most recent call first" in daemon.log and "queue-writer" not in daemon.log.partition("most recent")[0]
    daemon.signal(signal.SIGTERM)
    assert daemon.ended(20) == 0


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="NO DAEMON IS TRIED AS PID 1")
@pytest.mark.parametrize("how", ["nothing", pytest.param("extension_that_computes", marks=pytest.mark.long)])
def test_as_pid_1_it_drains_or_ends_just_as_well(start: Any, mischief: Mischief, how: str) -> None:
    daemon = start(under=AS_PID_1, STUCK_SECONDS="4").ready()
    mischief(daemon, how)
    outside = daemon.process.pid
    [inside] = Path(f"/proc/{outside}/task/{outside}/children").read_text().split()
    if how == "nothing":
        os.kill(int(inside), signal.SIGTERM)
    assert daemon.ended(20) == (0 if how == "nothing" else 70)
