"""Replaced files go when their time has come."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from secondunit.daemon.files.replaced_files import KEPT, forget_replaced
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.storage.ownership import FolderLog
from secondunit.queue.outcome import Transient
from secondunit.queue.ports.folders import Replaced
from secondunit.queue.stores.memory_ports import MemoryFolders
from secondunit.testing.clock import ManualClock
from secondunit.testing.handler_kit import FakeContext


class Away(LocalFiles):
    """Storage that can't be reached."""

    async def sweep(self, replaced: Replaced) -> None:
        raise Transient(f"{replaced.path} can't be reached")


@pytest.mark.parametrize("away", [False, True])
async def test_the_janitor_goes_by_ten_minutes(tmp_path: Path, away: bool) -> None:
    root = tmp_path / "media"
    root.mkdir()
    folders, clock = MemoryFolders(), ManualClock()
    files, ctx = (Away if away else LocalFiles)([root], log=FolderLog(folders, clock)), await FakeContext.open(tmp_path)
    for name in ("old", "new"):
        async with files.folder(f"{root}/film", ctx) as staged:
            (staged.path / name).touch()
            await staged.publish({"files": {name: 0}})
    assert timedelta(minutes=10) == KEPT
    janitor = asyncio.create_task(forget_replaced(folders, files, clock))
    there = []
    for seconds in (0, 600, 60):
        await asleep(clock)
        await clock.advance(seconds)
        await asleep(clock)
        there.append((root / "film" / "old").exists())
    janitor.cancel()
    files.close()
    assert there == [True, True, away]
    assert bool(await folders.replaced(clock.now(), 1)) == away, "what can't be removed now is tried again"


async def asleep(clock: ManualClock) -> None:
    """Returns once the janitor has come round; it works on a thread."""
    while not clock.sleepers:
        await asyncio.sleep(0)
