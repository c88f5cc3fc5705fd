"""Pipe reader: what a child prints, cut into lines; neither blocks the loop nor waits for writers that are gone."""

import asyncio
import os
from collections.abc import Iterator

CHUNK = 8 * 1024
PAUSE = 0.001
LONGEST_LINE = 1024 * 1024


class Pipe:
    """The reading end of a pipe. A flood is slowed down, so that it can't take the loop's time (8 MB a second)."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._over = False

    async def read(self) -> bytes:
        """The next bytes; none at the end, which is there as soon as the pipe is empty and its writers are over."""
        while True:
            try:
                data = os.read(self._fd, CHUNK)
            except BlockingIOError:
                if self._over:
                    return b""
                await self._readable()
                continue
            if len(data) == CHUNK:
                await asyncio.sleep(PAUSE)
            return data

    def over(self) -> None:
        """Nobody writes any more, even if somebody unkillable still holds the other end."""
        self._over = True
        self._wake()

    def discard(self) -> None:
        """Read and drop from now on, so that a writer that is to end is not stuck in a write."""
        self._loop.add_reader(self._fd, self._drop)

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    async def _readable(self) -> None:
        self._waiter = self._loop.create_future()
        self._loop.add_reader(self._fd, self._wake)
        try:
            await self._waiter
        finally:
            self._loop.remove_reader(self._fd)
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _drop(self) -> None:
        try:
            if os.read(self._fd, CHUNK):
                return
        except BlockingIOError:
            return
        self._loop.remove_reader(self._fd)


class Lines:
    """Cuts bytes into lines of text, without their ends; of a line longer than 1 MiB the rest is dropped."""

    def __init__(self) -> None:
        self._begun = bytearray()

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that `data` completes."""
        *complete, rest = data.split(b"\n")
        for piece in complete:
            self._append(piece)
            yield self._line()
        self._append(rest)

    def end(self) -> Iterator[str]:
        """The last line, if it had no end of line."""
        if self._begun:
            yield self._line()

    def _append(self, piece: bytes) -> None:
        self._begun += piece[: LONGEST_LINE - len(self._begun)]

    def _line(self) -> str:
        line = self._begun.decode(errors="replace").removesuffix("\r")
        self._begun.clear()
        return line
