"""What a handler does to the process around it costs its run: exits, forks, and what it leaves behind."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.faults.conftest import is_alive

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
Mischief = Callable[[Any, str], str]


def lines(daemon: Any, event: str) -> list[dict[str, Any]]:
    """What the log says of this."""
    return [line for line in map(json.loads, daemon.log.splitlines()) if line["event"] == event]


def goes_on_and_drains(daemon: Any) -> None:
    """Other jobs are done as ever, and a signal ends it well."""
    daemon.until(daemon.submit(), "completed")
    began = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.ended(20) == 0
    assert time.monotonic() - began < 12


@pytest.mark.parametrize(
    ("how", "event", "cause"),
    [
        ("exit_from_a_callback", "loop.exit_refused", "SystemExit(5)"),
        pytest.param("interrupt_from_a_callback", "loop.exit_refused", "KeyboardInterrupt()", marks=pytest.mark.long),
        pytest.param(
            "exit_from_a_task_of_another_loops_making", "loop.exit_refused", "SystemExit(5)", marks=pytest.mark.long
        ),
        ("exit_from_a_task", "job.raised", "SystemExit: 5"),
    ],
)
def test_an_exit_of_a_handler_is_none_of_the_daemon(
    start: Any, mischief: Mischief, how: str, event: str, cause: str
) -> None:
    daemon = start(DRAIN_SECONDS="1").ready()
    job_id = mischief(daemon, how)
    if how == "exit_from_a_task":
        error = daemon.until(job_id, "failed")["error"]
        assert (error["class"], error["type"]) == ("deterministic", "handler_broke") and cause in error["message"]
    while not lines(daemon, event):
        assert daemon.process.poll() is None
    [told] = lines(daemon, event)
    assert cause in told["message"] and told["exception"]
    goes_on_and_drains(daemon)


RARELY = [
    pytest.param(how, marks=pytest.mark.long)
    for how in ("fork_in_a_thread", "forked_terminal", "forked_multiprocessing")
]


@pytest.mark.parametrize("how", ["fork", *RARELY])
def test_a_fork_of_the_daemon_is_refused(start: Any, mischief: Mischief, how: str) -> None:
    daemon = start().ready()
    error = daemon.until(mischief(daemon, how), "failed")["error"]
    assert (error["class"], error["type"]) == ("deterministic", "handler_broke")
    assert "os.fork" in error["message"]
    assert not Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text()
    assert lines(daemon, "job.raised")
    goes_on_and_drains(daemon)
    start().ready()  # nobody has the lock


def test_processes_that_are_spawned_are_no_forks(start: Any, mischief: Mischief) -> None:
    daemon = start().ready()
    daemon.until(mischief(daemon, "spawned_multiprocessing"), "completed")
    goes_on_and_drains(daemon)


@pytest.mark.parametrize("how", ["program_that_stays", "program_of_the_loop_that_stays"])
def test_a_program_that_is_left_is_told_of_with_its_job_and_ends_with_the_daemon(
    start: Any, mischief: Mischief, how: str
) -> None:
    daemon = start().ready()
    job_id = mischief(daemon, how)
    daemon.until(job_id, "completed")
    [told] = lines(daemon, "job.left_behind")
    [program] = told["others"]
    pid = int(program.split()[1])
    assert told["job_id"] == job_id and "(sleep)" in program and is_alive(pid)
    goes_on_and_drains(daemon)
    assert program in lines(daemon, "daemon.left_behind")[0]["message"]
    deadline = time.monotonic() + 5
    while is_alive(pid):
        assert time.monotonic() < deadline


def test_threads_and_tasks_that_are_left_are_told_of_with_their_job_and_hold_up_nothing(
    start: Any, mischief: Mischief
) -> None:
    daemon = start().ready()
    for how, what in (("thread_that_stays", "sleep"), ("task_that_stays", "sleep")):
        job_id = mischief(daemon, how)
        daemon.until(job_id, "completed")
        [told] = [line for line in lines(daemon, "job.left_behind") if line["job_id"] == job_id]
        assert what in "".join(told["tasks"] + told["others"])
    goes_on_and_drains(daemon)
    assert lines(daemon, "daemon.left_behind")
