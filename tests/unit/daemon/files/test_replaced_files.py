"""Replaced files go when their time has come."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

from secondunit.daemon.files.replaced_files import KEPT, forget_replaced
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.testing.clock import ManualClock
from secondunit.testing.handler_kit import FakeContext


async def test_the_janitor_goes_by_ten_minutes(tmp_path: Path) -> None:
    root = tmp_path / "media"
    root.mkdir()
    files, ctx = LocalFiles([root]), await FakeContext.open(tmp_path)
    for name in ("old", "new"):
        async with files.folder(f"{root}/film", ctx) as staged:
            (staged.path / name).touch()
            await staged.publish({"files": {name: 0}})
    files.close()
    [note] = (root / ".secondunit" / "replaced").iterdir()
    assert timedelta(minutes=10) == KEPT
    clock = ManualClock()
    os.utime(note, (clock.now().timestamp(), clock.now().timestamp()))
    janitor = asyncio.create_task(forget_replaced([root], clock))
    there = []
    for seconds in (0, 590, 60):
        await asleep(clock)
        await clock.advance(seconds)
        await asleep(clock)
        there.append((root / "film" / "old").exists())
    janitor.cancel()
    assert there == [True, True, False]


async def asleep(clock: ManualClock) -> None:
    """Returns once the janitor has come round; it works on a thread."""
    while not clock.sleepers:
        await asyncio.sleep(0)
