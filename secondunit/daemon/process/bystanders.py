"""Stray threads and child processes: what lives in or below this process and no part of it looks after."""

import os
import signal
import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

TASKS = Path("/proc/self/task")


def strays(pool: str = "pool") -> Collection[str]:
    """Threads that Python's end would wait for, but for those of the `pool`; and programs that were not launched.

    Those of jobs lead sessions of their own (`handlers/tools/programs/launching/`).
    """
    found = [f"thread {thread.name}" for thread in threading.enumerate() if _is_stray(thread, pool)]
    return [*found, *(f"process {pid} ({_command(pid)})" for pid in programs())]


def programs() -> Iterator[int]:
    """Child processes in our own session."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # there is none, and to know that costs a microsecond
        return
    ours = os.getsid(0)
    for task in TASKS.iterdir():
        with suppress(OSError):
            for pid in map(int, (task / "children").read_text().split()):
                with suppress(ProcessLookupError):
                    if os.getsid(pid) == ours and not _has_ended(pid):
                        yield pid


def end_programs() -> Collection[str]:
    """Kill the programs that are left, at the daemon's end; which they were."""
    found = {pid: f"process {pid} ({_command(pid)})" for pid in programs()}
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return list(found.values())


def _is_stray(thread: threading.Thread, pool: str) -> bool:
    return not thread.daemon and thread is not threading.main_thread() and not thread.name.startswith(pool)


def _has_ended(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return "gone"
