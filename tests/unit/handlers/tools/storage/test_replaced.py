"""What a new folder no longer has stays readable for a while, and then goes, whatever happens in between."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.storage.ownership import FolderLog
from secondunit.queue.stores.memory_ports import MemoryFolders
from secondunit.testing.clock import ManualClock
from secondunit.testing.handler_kit import FakeContext


class Kept:
    """What was replaced, by a clock of the test's."""

    def __init__(self, files: LocalFiles, folders: MemoryFolders, clock: ManualClock) -> None:
        self.files, self.folders, self.clock = files, folders, clock

    async def sweep(self, before: datetime | None = None) -> None:
        """As the janitor does it, for what was replaced before then, else for all."""
        for replaced in await self.folders.replaced(before or datetime.max.replace(tzinfo=UTC), 100):
            await self.files.sweep(replaced)
            await self.folders.swept(replaced)


@pytest.fixture
def kept(root: Path) -> Iterator[Kept]:
    folders, clock = MemoryFolders(), ManualClock()
    files = LocalFiles([root], log=FolderLog(folders, clock))
    yield Kept(files, folders, clock)
    files.close()


@pytest.fixture
def files(kept: Kept) -> LocalFiles:
    return kept.files


async def publish(files: LocalFiles, film: Path, ctx: FakeContext, **contents: str) -> None:
    async with files.folder(str(film), ctx) as staged:
        for name, content in contents.items():
            path = staged.path / name.replace("_", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
        await staged.publish({"files": {name.replace("_", "/"): len(text) for name, text in contents.items()}})


def standing(film: Path) -> Any:
    found = {str(path.relative_to(film)): path.read_text() for path in film.rglob("*") if path.is_file()}
    del found["manifest.json"]
    return found


async def test_the_files_of_an_old_rung_stay_beside_the_new_ones_until_they_are_swept(
    files: LocalFiles, root: Path, ctx: FakeContext, kept: Kept
) -> None:
    film = root / "film"
    await publish(files, film, ctx, master="1", **{"480p_0": "old", "720p_0": "old"})
    await publish(files, film, ctx, master="2", **{"720p_0": "new"})
    assert standing(film) == {"master": "2", "480p/0": "old", "720p/0": "new"}
    await kept.sweep(kept.clock.now() - timedelta(minutes=1))
    assert "480p/0" in standing(film)
    await kept.sweep()
    assert standing(film) == {"master": "2", "720p/0": "new"}
    assert [path.name for path in film.iterdir() if path.is_dir()] == ["720p"]
    assert list((root / ".secondunit").iterdir()) == []


async def test_a_rung_that_came_back_is_not_swept(files: LocalFiles, root: Path, ctx: FakeContext, kept: Kept) -> None:
    for rungs in ({"480p_0": "1"}, {"720p_0": "2"}, {"480p_0": "3", "720p_0": "3"}):
        await publish(files, root / "film", ctx, **rungs)
    await kept.sweep()
    assert standing(root / "film") == {"480p/0": "3", "720p/0": "3"}


async def test_what_was_replaced_twice_is_kept_from_the_last_time_on(
    files: LocalFiles, root: Path, ctx: FakeContext, kept: Kept
) -> None:
    film = root / "film"
    await publish(files, film, ctx, first="1")
    await publish(files, film, ctx, second="2")
    await kept.clock.advance(600)
    await publish(files, film, ctx, third="3")
    await kept.sweep(kept.clock.now() - timedelta(minutes=1))
    assert standing(film) == {"first": "1", "second": "2", "third": "3"}
    await kept.sweep()
    assert standing(film) == {"third": "3"}


async def test_what_somebody_else_put_there_stays(files: LocalFiles, root: Path, ctx: FakeContext, kept: Kept) -> None:
    film = root / "film"
    await publish(files, film, ctx, old="1")
    (film / "poster.jpg").write_text("theirs")
    (film / "inner").mkdir()
    (film / "inner" / "master").write_text("theirs")
    await publish(files, film, ctx, new="2")
    await kept.sweep()
    assert standing(film) == {"new": "2", "poster.jpg": "theirs", "inner/master": "theirs"}


@pytest.mark.parametrize("change", ["ours no longer", "gone", "a link"])
async def test_nothing_of_others_is_swept(
    files: LocalFiles, root: Path, ctx: FakeContext, kept: Kept, change: str
) -> None:
    film, aside = root / "film", root / "aside"
    await publish(files, film, ctx, old="1")
    await publish(files, film, ctx, new="2")
    match change:
        case "ours no longer":
            (film / "manifest.json").unlink()
        case "gone":
            film.rename(aside)
        case _:
            film.rename(aside)
            film.symlink_to(aside)
    await kept.sweep()
    assert (aside if aside.exists() else film).joinpath("old").read_text() == "1"
