"""SQLite engine, as its operator sees it: one file on a disk of ours, with room set aside beside it."""

import asyncio
import os
import sqlite3
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from secondunit.queue.clock import Clock
from secondunit.queue.errors import StoreBroken
from secondunit.queue.ports.engine import Snapshot
from secondunit.queue.stores.sqlite.backup import back_up
from secondunit.queue.stores.sqlite.ballast import Ballast
from secondunit.queue.stores.sqlite.connection import look_through, removed
from secondunit.queue.stores.sqlite.writer import Writer

WATCH_EVERY = 10.0


class SqliteEngine:
    """The Engine port; see `secondunit.queue.ports.engine.Engine`."""

    def __init__(self, path: Path, writer: Writer, ballast: Ballast) -> None:
        self.path = path
        self.reserve = ballast
        self.unchecked = not writer.whole
        self._writer = writer

    @property
    def versions(self) -> Mapping[str, str]:
        return {"sqlite": sqlite3.sqlite_version}

    @property
    def waiting(self) -> int:
        return self._writer.commits.waiting

    async def ping(self) -> None:
        await self._writer.run(lambda tx: None)

    async def watch(self, clock: Clock) -> None:
        opened = await asyncio.to_thread(self.path.stat)
        checking = asyncio.ensure_future(self._check())
        try:
            while True:
                await self._first_of(clock, checking)
                await asyncio.to_thread(_same_file, self.path, opened)
        finally:
            checking.cancel()

    async def _first_of(self, clock: Clock, checking: asyncio.Future[None]) -> None:
        timer: asyncio.Future[None] = asyncio.ensure_future(clock.tick(WATCH_EVERY))
        failure = self._writer.commits.failure
        waits: list[asyncio.Future[Any]] = [timer, failure, *([checking] if self.unchecked else [])]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()
        if failure.done():
            raise failure.result()
        if checking.done():
            checking.result()

    async def _check(self) -> None:
        if self.unchecked:
            await asyncio.to_thread(look_through, self.path)
            self.unchecked = False

    def owns(self, path: Path) -> bool:
        return path.parent.resolve() == self.path.parent.resolve() and path.name.startswith(self.path.name)

    async def snapshot(self, target: Path, secrets: Mapping[str, Collection[str]]) -> Snapshot:
        return await asyncio.to_thread(back_up, self.path, target, secrets)


def _same_file(path: Path, opened: os.stat_result) -> None:
    try:
        found = path.stat()
    except FileNotFoundError:
        raise StoreBroken(removed(path)) from None
    if (found.st_dev, found.st_ino) != (opened.st_dev, opened.st_ino):
        raise StoreBroken(f"{path} was replaced by another file while it was open; start again")
