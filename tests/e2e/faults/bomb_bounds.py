"""What a daemon is held to while bombs go off: it stays small, answers others soon, and ends when told to."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.conftest import Daemon
from tests.e2e.faults.health_client import watching

MOST_MEMORY = 150 * 1024  # KiB
SOON, SLOWER = 0.25, 5  # seconds, or times what it took just before: a busy machine answers late by itself
DRAINS_WITHIN = 20.0
IDLE = 1.5


@contextmanager
def held_to_bounds(daemon: Daemon) -> Iterator[None]:
    """Watch the daemon while this is open, end it after that, and hold all of it to the bounds.

    Where the machine was crowded before or after, by others therefore, what it took is not the daemon's fault.
    """
    with watching(daemon.port, daemon.process.pid) as before:
        time.sleep(IDLE)
    with watching(daemon.port, daemon.process.pid) as client:
        yield
    with watching(daemon.port, daemon.process.pid) as after:
        time.sleep(IDLE)
    crowded = before.crowded or after.crowded
    told = f"p99 {client.p99:.3f} s, {client.fair_p99:.3f} s of it its own; {before.p99:.3f} s before"
    print(f"{told}, {after.p99:.3f} s after, {crowded=}; {most_memory(daemon)} KiB")
    late = client.fair_p99 if crowded else client.p99
    assert late < max(SOON, SLOWER * before.p99), told
    assert most_memory(daemon) < MOST_MEMORY
    began = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.ended(DRAINS_WITHIN) == 0
    assert time.monotonic() - began < DRAINS_WITHIN
    assert "Traceback" not in daemon.log


def most_memory(daemon: Daemon) -> int:
    """The most memory that the daemon itself ever had, in KiB."""
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])
