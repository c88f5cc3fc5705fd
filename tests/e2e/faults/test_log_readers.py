"""Readers of the log that hang, leave or never were: they cost lines, never a job, a lease or a signal."""

import os
import pty
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.faults.health_client import watching

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
NO_WAIT = 0.25


def worked(daemon: Any, jobs: int = 60) -> None:
    """Have jobs done whose lines nobody reads, while /health answers at once."""
    with watching(daemon.port, daemon.process.pid) as health:
        while not health.asked_often:  # a fast machine has done them before anybody looked
            ids = [daemon.submit(seconds=0) for _ in range(jobs)]
            for job_id in ids:
                daemon.until(job_id, "completed")
    assert health.fair_p99 < NO_WAIT


def drained(daemon: Any) -> None:
    """Have it drain as if somebody read."""
    daemon.signal(signal.SIGTERM)
    assert daemon.ended(15) == 0


def reasons(daemon: Any) -> list[str]:
    return [reason.partition(":")[0] for reason in daemon.call("GET", "/health").body["reasons"]]


def metric(daemon: Any, name: str) -> float:
    return float(daemon.call("GET", "/metrics").body.partition(f"\nsecondunit_{name} ")[2].split()[0])


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    yield read, write
    os.close(read)


def read_all(read: int) -> str:
    content = b""
    while True:
        try:
            content += os.read(read, 1 << 20)
        except BlockingIOError:
            return content.decode()


def test_a_pipe_that_nobody_reads_holds_nothing_back_and_what_was_lost_is_told(
    start: Any, pipe: tuple[int, int], tmp_path: Path
) -> None:
    read, write = pipe
    daemon = start(stderr=write, LOG_LEVEL="debug").ready()
    os.close(write)
    worked(daemon)
    path, deadline = "/" + "x" * 4000, time.monotonic() + 60
    while "log_lost" not in reasons(daemon):  # the longest lines there are
        assert time.monotonic() < deadline
        for _ in range(20):
            daemon.submit(seconds=0, marks=str(tmp_path / "no" / path))
    while metric(daemon, "log_lines_lost_total") == 0:  # counted once a while
        assert time.monotonic() < deadline
    content, deadline = "", time.monotonic() + 30
    while "log.lost" not in content:
        assert time.monotonic() < deadline
        content += read_all(read)
        time.sleep(0.01)
    assert "log_lost" not in reasons(daemon)
    drained(daemon)


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_reader_that_left_changes_nothing(start: Any, format: str) -> None:
    read, write = os.pipe()
    daemon = start(stderr=write, LOG_FORMAT=format).ready()
    os.close(write)
    os.close(read)
    worked(daemon)
    assert "log_lost" in reasons(daemon)
    drained(daemon)


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-", "2>/dev/full"])
def test_it_runs_without_a_stderr(start: Any, closed: str) -> None:
    daemon = start(under=("sh", "-c", f'exec "$@" {closed}', "sh")).ready()
    worked(daemon)
    assert daemon.call("GET", "/health").body["queue"]["queued"] == 0
    drained(daemon)


@pytest.mark.parametrize("gone", [True, False])
def test_a_terminal_that_is_gone_or_held_changes_nothing(start: Any, gone: bool) -> None:
    master, slave = pty.openpty()
    daemon = start(stderr=slave, LOG_FORMAT="console").ready()
    os.close(slave)
    if gone:
        os.close(master)
    else:
        os.write(master, b"\x13")  # Control-S
    worked(daemon)
    drained(daemon)
    if not gone:
        os.close(master)


def test_a_signal_is_heard_while_nobody_reads(start: Any, pipe: tuple[int, int]) -> None:
    _, write = pipe
    daemon = start(stderr=write).ready()
    os.close(write)
    worked(daemon, 20)
    job_id = daemon.submit(seconds=1.0)
    daemon.until(job_id, "running")
    drained(daemon)
    assert start().ready().job(job_id)["status"] == "completed"
