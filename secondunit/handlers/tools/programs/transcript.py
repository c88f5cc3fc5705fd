"""stderr capture: the last 64 KB in memory, all of it in the job's log up to the log's size, and to who asked."""

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from secondunit.handlers.tools.programs.pipes import Lines, Pipe

KEPT = 64 * 1024
LOG_SIZE = 4 * 1024 * 1024
LOG_FULL = b"\n[the log is full: what follows is not kept]\n"


class Transcript:
    """Listens to one program, and calls `heard` whenever it says something, and `on_line` with each line.

    A log that can't be written is given up: the job must not fail for its log.
    """

    def __init__(
        self, log: Path | None, heard: Callable[[], None], on_line: Callable[[str], None] | None = None
    ) -> None:
        self._log = log
        self._heard = heard
        self._on_line = on_line
        self._lines = Lines()
        self._kept = bytearray()

    async def note(self, line: str) -> None:
        """Write a line of our own into the log."""
        await self._write(line.encode(errors="replace") + b"\n")

    async def follow(self, pipe: Pipe) -> None:
        """Listen until the pipe ends."""
        while data := await pipe.read():
            await self.add(data)
        self._tell(self._lines.end())

    async def add(self, data: bytes) -> None:
        """Take in what was said."""
        if data:
            self._heard()
        self._kept += data
        del self._kept[:-KEPT]
        if self._on_line:
            self._tell(self._lines.feed(data))
        await self._write(data)

    @property
    def text(self) -> str:
        """The last 64 KB."""
        return self._kept.decode(errors="replace")

    def _tell(self, lines: Iterable[str]) -> None:
        for line in lines:
            if self._on_line:
                self._on_line(line)

    async def _write(self, data: bytes) -> None:
        if self._log is not None and not await asyncio.to_thread(_append, self._log, data):
            self._log = None


def _append(log: Path, data: bytes) -> bool:
    """Append to a log that never grows beyond its size; whether it has room for more."""
    try:
        fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            room = LOG_SIZE - os.fstat(fd).st_size
            if room > len(data):
                return os.write(fd, data) == len(data)
            if room > 0:
                os.write(fd, data[:room] + LOG_FULL)
            return False
        finally:
            os.close(fd)
    except OSError:
        return False
