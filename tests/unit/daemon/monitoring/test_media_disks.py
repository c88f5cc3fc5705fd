"""Disks of MEDIA_ROOTS: each is seen by itself, and one that does not answer hides no other."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from secondunit.daemon.monitoring.disk_guard import ANSWERS_WITHIN, MEDIA_EVERY, MediaDisks
from secondunit.testing.clock import ManualClock

GONE = "No such file or directory"


@asynccontextmanager
async def watching(disks: MediaDisks) -> AsyncIterator[MediaDisks]:
    task = asyncio.create_task(disks.run())
    try:
        yield disks
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(seen: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not seen():
            await asyncio.sleep(0.001)


async def test_a_root_that_is_gone_and_comes_back_is_seen_beside_one_that_stays(tmp_path: Path) -> None:
    clock, one, other = ManualClock(), tmp_path / "one", tmp_path / "other"
    other.mkdir()
    async with watching(MediaDisks([one, other], tmp_path, clock)) as disks:
        await until(lambda: disks.seen[one].fault == GONE and disks.seen[other].free is not None)
        assert disks.seen[other].shared and disks.seen[other].lacking is None
        one.mkdir()
        await clock.advance(MEDIA_EVERY)
        await until(lambda: disks.seen[one].fault is None and disks.seen[one].free is not None)


async def test_a_disk_without_room_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = list(os.statvfs(tmp_path))
    disk[4] = 0  # f_bavail
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(disk))
    async with watching(MediaDisks([tmp_path], tmp_path, ManualClock())) as disks:
        await until(lambda: disks.seen[tmp_path].lacking == "0 MiB are free")


async def test_one_that_does_not_answer_is_told_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, hung, other, over = ManualClock(), tmp_path / "hung", tmp_path / "other", threading.Event()
    for root in (hung, other):
        root.mkdir()
    real = os.statvfs

    def statvfs(path: Any) -> os.statvfs_result:
        if path == hung:
            over.wait(60)
        return real(path)

    monkeypatch.setattr(os, "statvfs", statvfs)
    async with watching(MediaDisks([hung, other], tmp_path, clock)) as disks:
        await until(lambda: disks.seen[other].free is not None)
        await clock.advance(ANSWERS_WITHIN.total_seconds() + 1)
        fault = disks.seen[hung].fault
        assert fault == "it has not answered for 31 s"
        over.set()
        await until(lambda: disks.seen[hung].fault is None)
