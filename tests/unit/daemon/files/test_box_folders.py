"""Boxes that share a queue share its records of published folders, but not each path: another disk may be there."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from secondunit.daemon.files.box_folders import BoxFolders
from secondunit.daemon.files.replaced_files import KEPT, forget_replaced
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.storage.ownership import FolderLog
from secondunit.queue.payloads.locality import Locality
from secondunit.queue.ports.folders import Folders, PublishedFolder
from secondunit.queue.stores.memory_ports import MemoryFolders
from secondunit.queue.value import replace
from secondunit.testing.clock import START, ManualClock
from secondunit.testing.handler_kit import FakeContext


@contextmanager
def disk(root: Path, folders: Folders, clock: ManualClock) -> Iterator[LocalFiles]:
    """A disk of its own at the path where an earlier one was, which goes on for who has it open."""
    if root.exists():
        root.rename(root.with_name("elsewhere"))
    root.mkdir()
    files = LocalFiles([root], log=FolderLog(folders, clock))
    yield files
    files.close()


async def publish(files: LocalFiles, film: str, ctx: FakeContext, name: str) -> None:
    async with files.folder(film, ctx) as staged:
        (staged.path / name).touch()
        await staged.publish({"files": {name: 0}})


async def swept(folders: Folders, files: LocalFiles, clock: ManualClock) -> None:
    """The janitor of a box comes round once."""
    janitor = asyncio.create_task(forget_replaced(folders, files, clock))
    while not clock.sleepers:
        await asyncio.sleep(0)
    janitor.cancel()
    await asyncio.wait([janitor])


async def test_what_a_box_replaced_goes_there_though_another_looks_first(tmp_path: Path) -> None:
    rows, clock, root, ctx = MemoryFolders(), ManualClock(), tmp_path / "media", await FakeContext.open(tmp_path)
    one, two = (BoxFolders(rows, Locality(box, alone=False)) for box in ("one", "two"))
    with disk(root, one, clock) as here, disk(root, two, clock) as there:
        for name in ("old", "new"):
            await publish(here, f"{root}/film", ctx, name)
        await clock.advance((2 * KEPT).total_seconds())
        assert await two.replaced(clock.now(), 9) == []
        await swept(two, there, clock)
        assert (tmp_path / "elsewhere/film/old").exists()
        await swept(one, here, clock)
    assert [path.name for path in (tmp_path / "elsewhere/film").glob("[!m]*")] == ["new"]
    assert await rows.replaced(clock.now(), 9) == []


async def test_a_folder_stays_ours_when_another_box_publishes_at_the_same_path() -> None:
    rows = MemoryFolders()
    one, two = (BoxFolders(rows, Locality(box, alone=False)) for box in ("one", "two"))
    ours = PublishedFolder("/srv/media/film", 7, START, "job_1", 1, START)
    theirs = replace(ours, inode=8, manifest_at=START + timedelta(hours=1))
    for folders, folder in ((one, ours), (two, theirs)):
        await folders.add(folder)
        await folders.settle(folder)
    assert list(await one.known(ours.path, 7)) == [ours]
    assert list(await two.known(ours.path, 8)) == [theirs]


async def test_a_folder_stays_ours_when_the_box_gets_another_name(tmp_path: Path) -> None:
    rows, clock, root, ctx = MemoryFolders(), ManualClock(), tmp_path / "media", await FakeContext.open(tmp_path)
    with disk(root, BoxFolders(rows, Locality("one", alone=False)), clock) as files:
        await publish(files, f"{root}/film", ctx, "ours")
    renamed = LocalFiles([root], log=FolderLog(BoxFolders(rows, Locality("two", alone=False)), clock))
    assert await renamed.published(f"{root}/film") is not None
    renamed.close()


@pytest.mark.parametrize("before", [Locality("one"), Locality("one", alone=False)], ids=["one box", "two boxes"])
@pytest.mark.parametrize("after", [Locality("one"), Locality("one", alone=False)], ids=["one box", "two boxes"])
async def test_a_folder_stays_ours_when_the_queue_moves(tmp_path: Path, before: Locality, after: Locality) -> None:
    rows, clock, root, ctx = MemoryFolders(), ManualClock(), tmp_path / "media", await FakeContext.open(tmp_path)
    with disk(root, BoxFolders(rows, before), clock) as files:
        for name in ("old", "new"):
            await publish(files, f"{root}/film", ctx, name)
    await clock.advance((2 * KEPT).total_seconds())
    moved = LocalFiles([root], log=FolderLog(BoxFolders(rows, after), clock))
    assert await moved.published(f"{root}/film") is not None
    await swept(BoxFolders(rows, after), moved, clock)
    moved.close()
    assert not (root / "film/old").exists()
    assert await BoxFolders(rows, after).replaced(clock.now(), 9) == []


async def test_what_lies_on_a_shared_root_or_in_a_bucket_is_everybodys(tmp_path: Path) -> None:
    rows, clock, root, ctx = MemoryFolders(), ManualClock(), tmp_path / "media", await FakeContext.open(tmp_path)
    one, two = (BoxFolders(rows, Locality(box, [str(root)], alone=False)) for box in ("one", "two"))
    with disk(root, one, clock) as here:
        await publish(here, f"{root}/film", ctx, "old")
        there = LocalFiles([root], log=FolderLog(two, clock))
        await publish(there, f"{root}/film", ctx, "new")
        await clock.advance((2 * KEPT).total_seconds())
        await swept(one, here, clock)
        there.close()
    assert not (root / "film/old").exists()
    assert await two.replaced(clock.now(), 9) == []
