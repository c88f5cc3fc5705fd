"""Lock file, one daemon per database: held by the kernel for its holder, on a file of its own beside the database.

A fork of the holder would be a second daemon, and hold the lock on: what would fork gets an error instead. Programs
(`subprocess`, asyncio's and uvloop's, with `preexec_fn` as well) are started in C, by other events than those.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from secondunit.queue.outcome import HandlerBroke

FORKS = frozenset({"os.fork", "os.forkpty"})


class Locked(Exception):
    """Another process has the database; `holder` says which."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(
            f"{path} is held by {holder or 'another process'}; stop that one, or give this one a DATA_DIR of its own"
        )
        self.path = path
        self.holder = holder


def lock_path(database: Path) -> Path:
    """Where the lock of a database lies. Never the database itself: closing it would drop SQLite's own locks."""
    return database.with_name(database.name + ".lock")


@contextmanager
def box_lock(database: Path) -> Iterator[None]:
    """Hold the database's lock, with this process named in the file; Locked at once if somebody else does."""
    path = lock_path(database)
    # Close-on-exec, as all that Python opens: no child can keep the lock.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(path, os.pread(descriptor, 200, 0).decode(errors="replace").strip()) from None
        started = datetime.now(UTC).isoformat(timespec="seconds")
        os.ftruncate(descriptor, 0)
        with suppress(OSError):  # a full disk has no room for our name; the lock holds without it
            os.pwrite(descriptor, f"process {os.getpid()}, since {started}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def refuse_forks() -> None:
    """From now on, and for good, no Python code forks this process: its audit hook says no."""
    sys.addaudithook(_refuse)


def _refuse(event: str, _: tuple[Any, ...]) -> None:
    if event in FORKS:
        raise HandlerBroke(
            f"{event} in the daemon would make a second daemon; start a program (tools.programs, subprocess), or"
            " processes by multiprocessing.get_context('spawn')"
        )
