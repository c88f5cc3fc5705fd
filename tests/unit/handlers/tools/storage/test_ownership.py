"""A folder is ours because the records say so: no manifest makes it so, and none of ours is lost by being moved."""

import asyncio
import errno
import json
import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.storage.ownership import FolderLog, Standing, is_ours
from secondunit.handlers.tools.storage.safe_open import Opener
from secondunit.queue.errors import BadPayload
from secondunit.queue.outcome import Deterministic
from secondunit.queue.ports.folders import PublishedFolder, Replaced
from secondunit.queue.stores.memory_ports import MemoryFolders
from secondunit.queue.value import replace
from secondunit.testing.clock import ManualClock
from secondunit.testing.handler_kit import FakeContext
from secondunit.testing.jobs import NOW, later

OURS = PublishedFolder("/media/film", 7, NOW, "job_1", 1, later(1))
FOUND = Standing("folder", (1, 7), {}, NOW)


@pytest.fixture
def folders() -> MemoryFolders:
    return MemoryFolders()


@pytest.fixture
def files(root: Path, folders: MemoryFolders) -> Iterator[LocalFiles]:
    files = LocalFiles([root], log=FolderLog(folders, ManualClock()))
    yield files
    files.close()


async def publish(files: LocalFiles, path: Path, ctx: FakeContext, text: str) -> None:
    async with files.folder(str(path), ctx) as staged:
        (staged.path / "part").write_text(text)
        await staged.publish({"files": {"part": len(text)}})


@pytest.mark.parametrize(
    ("why", "path", "standing", "row", "ours"),
    [
        ("as it was published", "/media/film", FOUND, OURS, True),
        ("restored", "/media/film", Standing("folder", (2, 8), {}, NOW), OURS, True),
        ("moved", "/media/old/film", FOUND, OURS, True),
        ("on a disk that rounds times", "/media/film", Standing("folder", (1, 7), {}, later(-1.9)), OURS, True),
        ("a copy of it", "/media/copy", Standing("folder", (1, 8), {}, NOW), OURS, False),
        ("a manifest of another time", "/media/film", Standing("folder", (1, 7), {}, later(3)), OURS, False),
        ("no manifest", "/media/film", Standing("folder", (1, 7)), OURS, False),
        ("adopted", "/media/film", FOUND, replace(OURS, inode=0, manifest_at=later(3000)), True),
        ("adopted, elsewhere", "/media/b", FOUND, replace(OURS, inode=0, manifest_at=later(3000)), False),
        ("written after the job's end", "/media/film", FOUND, replace(OURS, inode=0, manifest_at=later(-9)), False),
        ("written long before it", "/media/film", FOUND, replace(OURS, inode=0, manifest_at=later(3700)), False),
    ],
)
def test_a_folder_is_ours_by_its_manifests_time_and_its_place_or_inode(
    why: str, path: str, standing: Standing, row: PublishedFolder, ours: bool
) -> None:
    assert is_ours(path, standing, [row]) == ours, why


async def test_a_forged_manifest_makes_nobody_elses_folder_ours(
    files: LocalFiles, root: Path, ctx: FakeContext
) -> None:
    await publish(files, root / "film", ctx, "1")
    photos = root / "photos"
    photos.mkdir()
    (photos / "precious.jpg").write_text("precious")
    shutil.copyfile(root / "film" / "manifest.json", photos / "manifest.json")
    for path in (photos, root / "film"):
        if path.name == "film":  # what stood here was taken away, and somebody else's came in its place
            await asyncio.to_thread(shutil.rmtree, path)
            photos.rename(path)
            os.utime(path / "manifest.json", (1, 1))
        with pytest.raises(Deterministic) as refused:
            await publish(files, path, ctx, "2")
        assert refused.value.type == "output_not_ours" and "move away" in str(refused.value)
        assert await files.published(str(path)) is None
    assert (root / "film" / "precious.jpg").read_text() == "precious"


async def test_what_was_moved_restored_or_lies_in_a_renamed_root_is_still_ours(
    root: Path, ctx: FakeContext, folders: MemoryFolders
) -> None:
    files = LocalFiles([root], log=FolderLog(folders, ManualClock()))
    for name in ("film", "restored"):
        await publish(files, root / name, ctx, "1")
    (root / "film").rename(root / "moved")
    await asyncio.to_thread(shutil.copytree, root / "restored", root / "copy")
    await asyncio.to_thread(shutil.rmtree, root / "restored")
    (root / "copy").rename(root / "restored")
    for name in ("moved", "restored"):
        await publish(files, root / name, ctx, "2")
    files.close()
    renamed = await asyncio.to_thread(root.rename, root.parent / "renamed")
    files = LocalFiles([renamed], log=FolderLog(folders, ManualClock()))
    await publish(files, renamed / "moved", ctx, "3")
    files.close()
    assert [(renamed / name / "part").read_text() for name in ("moved", "restored")] == ["3", "2"]


@pytest.mark.parametrize("records", ["none", "lost"])
async def test_a_folder_of_which_there_is_no_record_is_not_replaced(
    files: LocalFiles, root: Path, ctx: FakeContext, records: str
) -> None:
    await publish(files, root / "film", ctx, "1")
    other = LocalFiles([root], log=FolderLog(MemoryFolders(), ManualClock()) if records == "lost" else None)
    with pytest.raises(Deterministic if records == "lost" else ValueError):
        await publish(other, root / "film", ctx, "2")
    other.close()
    assert (root / "film" / "part").read_text() == "1"


async def test_a_run_that_is_killed_between_its_record_and_the_rename_hinders_no_other(
    files: LocalFiles, root: Path, ctx: FakeContext, folders: MemoryFolders
) -> None:
    await publish(files, root / "film", ctx, "1")
    [standing] = await folders.known(f"{root}/film", 0)
    await folders.add(replace(standing, inode=999, manifest_at=standing.manifest_at + timedelta(days=1)))
    await publish(files, root / "film", ctx, "2")
    assert len(await folders.known(f"{root}/film", 999)) == 1, "what never came to stand is forgotten"


class Meddling(Opener):
    """Somebody puts another folder at the destination in the very moment of the exchange, or file systems can't."""

    def __init__(self, film: Path, *, exchanges: bool) -> None:
        super().__init__()
        self.film, self.exchanges, self.meddle = film, exchanges, False

    def exchange(self, folder: int, name: str, other_folder: int, other_name: str) -> None:
        if self.meddle:
            self.meddle = False
            self.film.rename(self.film.with_name("aside"))
            self.film.with_name("photos").rename(self.film)
        if not self.exchanges:
            raise OSError(errno.EINVAL, "Invalid argument")
        super().exchange(folder, name, other_folder, other_name)


@pytest.mark.parametrize("exchanges", [True, False])
async def test_what_comes_to_stand_there_in_the_last_moment_is_put_back(
    root: Path, ctx: FakeContext, exchanges: bool
) -> None:
    opener = Meddling(root / "film", exchanges=exchanges)
    files = LocalFiles([root], log=FolderLog(MemoryFolders(), ManualClock()), opener=opener)
    await publish(files, root / "film", ctx, "1")
    (root / "photos").mkdir()
    (root / "photos" / "precious.jpg").write_text("precious")
    opener.meddle = True
    with pytest.raises(Deterministic) as refused:
        await publish(files, root / "film", ctx, "2")
    files.close()
    assert refused.value.type == "output_not_ours"
    assert [path.name for path in (root / "film").iterdir()] == ["precious.jpg"]
    assert (root / "aside" / "part").read_text() == "1" and list((root / ".secondunit").iterdir()) == []


async def test_a_forged_note_or_manifest_removes_nothing_of_others(files: LocalFiles, root: Path) -> None:
    (root / "photos").mkdir()
    (root / "photos" / "precious.jpg").write_text("precious")
    (root / "photos" / "manifest.json").write_text(json.dumps({"madeBy": "secondunit", "files": {}}))
    await files.sweep(Replaced(f"{root}/photos", "", ["precious.jpg"], NOW))
    await files.sweep(Replaced("/etc", "", ["passwd"], NOW))
    assert (root / "photos" / "precious.jpg").exists()


async def test_an_output_over_its_own_input_is_refused_by_whatever_name(
    files: LocalFiles, root: Path, ctx: FakeContext
) -> None:
    (root / "real").mkdir()
    (root / "real" / "clip.png").write_text("content")
    (root / "linked").symlink_to("real")
    (root / "hard.png").hardlink_to(root / "real" / "clip.png")
    (root / "soft.png").symlink_to("real/clip.png")
    for name in (f"{root}/real/clip.png", f"{root}//real/./clip.png"):
        with pytest.raises(BadPayload, match=r"outputPath: .* is the input itself; name another file"):
            files.check("outputPath", name, [f"{root}/real/clip.png"])
    files.check("outputPath", f"{root}/real/clip.webp", [f"{root}/real/clip.png", "nowhere"])
    async with files.source(f"{root}/linked/clip.png") as source:
        for name in ("real/clip.png", "hard.png", "soft.png"):
            with pytest.raises(Deterministic) as refused:
                async with files.target(f"{root}/{name}", ctx, source):
                    pass
            assert refused.value.type == "output_is_input", name
        async with files.target(f"{root}/real/clip.webp", ctx, source) as staged:
            staged.path.write_text("made")
            await staged.publish()
    assert (root / "real" / "clip.png").read_text() == "content"


async def test_a_folder_that_holds_its_input_by_another_name_is_refused(
    files: LocalFiles, root: Path, ctx: FakeContext
) -> None:
    async with files.folder(f"{root}/film", ctx) as staged:
        (staged.path / "in").mkdir()
        (staged.path / "in" / "clip").write_text("content")
        await staged.publish({})
    (root / "link").symlink_to("film/in")
    async with files.source(f"{root}/link/clip") as source:
        with pytest.raises(Deterministic) as refused:
            async with files.folder(f"{root}/film", ctx, source):
                pass
    assert refused.value.type == "output_is_input" and (root / "film" / "in" / "clip").exists()
