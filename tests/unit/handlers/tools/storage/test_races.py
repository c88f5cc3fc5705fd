"""Whatever a stranger exchanges for a link while we work, nothing outside the root is read, written or removed."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from secondunit.handlers.tools.storage.destination import open_folder
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.storage.partial_file import Origin, PartialFile
from secondunit.handlers.tools.storage.safe_open import Opener
from secondunit.handlers.tools.storage.staging import staged_leases, sweep_staging
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.queue.ports.folders import Replaced
from secondunit.testing.folder_log import folder_log
from secondunit.testing.handler_kit import FakeContext
from secondunit.testing.jobs import NOW
from tests.unit.handlers.tools.storage.swapper import seen, swapping

FEW, MANY = 4, 30_000
REFUSALS = (Deterministic, Transient, OSError)
LEASE = ".secondunit/job_1-7"
PUBLISHED = ["films", "films/deep", "films/deep/film", "films/deep/film/480p"]
STAGED = [".secondunit", LEASE, f"{LEASE}/1", *PUBLISHED[:3]]
MADE = {"madeBy": "secondunit", "files": {"480p/0": 4}}
ORIGIN = Origin("https://a.example/part", '"1"', None, None)
Publish = Callable[[LocalFiles, Path, FakeContext], Awaitable[None]]


def times(cases: int) -> pytest.MarkDecorator:
    """How often each case is tried: a few times, and for a release so that all of them make 30,000."""
    marks = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3600)]
    few, many = pytest.param(FEW, id="a few times"), pytest.param(MANY // cases, marks=marks, id="30,000 times in all")
    return pytest.mark.parametrize("times", [few, many])


@pytest.fixture
def link(root: Path, tmp_path: Path) -> Path:
    """A link to somebody else's files, under every name that might be looked for there, to take the place of ours."""
    outside = tmp_path / "outside"
    for name in ("1", "job_1-7/1", "deep/film", "film", "480p", "kept", "output.webp"):
        (outside / name).mkdir(parents=True, exist_ok=True)
    for name in ("part", "film/part", "deep/film/part", "480p/0", "film/480p/0", "1/part", "job_1-7/1/part", "old"):
        (outside / name).parent.mkdir(exist_ok=True)
        (outside / name).write_text("precious")
    (root / "evil").symlink_to(outside)
    return root / "evil"


@pytest.fixture(params=[True, False], ids=["openat2", "by name"])
def files(root: Path, request: pytest.FixtureRequest) -> Iterator[LocalFiles]:
    files = LocalFiles([root], log=folder_log(), opener=Opener(openat2=request.param))
    yield files
    files.close()


async def publish_file(files: LocalFiles, root: Path, ctx: FakeContext) -> None:
    async with files.target(f"{root}/films/deep/out.webp", ctx) as staged:
        await asyncio.to_thread(staged.path.write_text, "made")
        await staged.publish()


async def publish_folder(files: LocalFiles, root: Path, ctx: FakeContext, rung: str = "480p") -> None:
    async with files.folder(f"{root}/films/deep/film", ctx) as staged:
        await asyncio.to_thread((staged.path / rung).mkdir)
        await asyncio.to_thread((staged.path / rung / "0").write_text, "made")
        await staged.publish({"files": {f"{rung}/0": 4}})


@times(cases=24)
@pytest.mark.parametrize("name", STAGED)
@pytest.mark.parametrize("publish", [publish_file, publish_folder])
async def test_staging_and_publishing_lead_nowhere_else(
    files: LocalFiles, root: Path, link: Path, ctx: FakeContext, publish: Publish, name: str, times: int
) -> None:
    before = seen(root.parent / "outside")
    await publish(files, root, ctx)
    with swapping(root / name, link):
        for _ in range(times):
            with suppress(*REFUSALS):
                await publish(files, root, ctx)
    assert seen(root.parent / "outside") == before


@times(cases=8)
@pytest.mark.parametrize("name", PUBLISHED)
async def test_what_was_replaced_is_removed_nowhere_else(
    files: LocalFiles, root: Path, link: Path, ctx: FakeContext, name: str, times: int
) -> None:
    before = seen(root.parent / "outside")
    for rung in ("480p", "720p"):
        await publish_folder(files, root, ctx, rung)
    with swapping(root / name, link):
        for _ in range(times):
            with suppress(*REFUSALS):
                await files.sweep(Replaced(f"{root}/films/deep/film", "", ["480p/0", "old"], NOW))
    assert seen(root.parent / "outside") == before


@times(cases=3)
@pytest.mark.parametrize("name", STAGED[:3])
def test_cleaning_up_at_the_start_removes_nothing_elsewhere(root: Path, link: Path, name: str, times: int) -> None:
    before, top = seen(root.parent / "outside"), os.open(root, os.O_RDONLY)
    with swapping(root / name, link):
        for _ in range(times):
            with suppress(OSError):
                os.close(open_folder(Opener(), top, f"{LEASE}/1".split("/"), 0o700))
            staged_leases([root])
            sweep_staging([root])
    os.close(top)
    assert seen(root.parent / "outside") == before


@times(cases=12)
@pytest.mark.parametrize("name", [*PUBLISHED, "films/deep/film/manifest.json", "films/deep/film/480p/0"])
async def test_an_artefact_is_read_from_nowhere_else(
    files: LocalFiles, root: Path, link: Path, ctx: FakeContext, name: str, times: int
) -> None:
    await publish_folder(files, root, ctx)
    film = f"{root}/films/deep/film"
    with swapping(root / name, link):
        for _ in range(times):
            with suppress(*REFUSALS):
                assert (await files.published(film) or MADE) == MADE
                async with files.source(f"{film}/480p/0") as source:
                    assert os.pread(source.fd, 99, 0) == b"made"


@times(cases=4)
@pytest.mark.parametrize("name", ["kept", "kept/a.part", "kept/a.json", "kept/a.json.new"])
def test_a_partial_download_is_kept_nowhere_else(root: Path, link: Path, name: str, times: int) -> None:
    before = seen(root.parent / "outside")
    (root / "kept").mkdir()
    if name != "kept":
        (root / name).touch()
        link.unlink()
        link.symlink_to(root.parent / "outside" / "part")
    with swapping(root / name, link):
        for _ in range(times):
            with suppress(OSError):
                download(root / "kept")
    assert seen(root.parent / "outside") == before


def test_a_partial_download_that_nobody_meddles_with_is_gone_on_with(root: Path) -> None:
    assert download(root) is None and download(root) == ORIGIN


def download(kept: Path) -> Origin | None:
    """A run that begins anew; what the one before it left."""
    partial = PartialFile(kept, "a")
    try:
        found = partial.resume(ORIGIN.url, lambda: None)
        partial.begin(ORIGIN)
        partial.write(b"made")
        return found
    finally:
        partial.close()
