"""No path leads out of the roots, by name, by link or by race; what can't be right is told at submit."""

import asyncio
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.storage.roots import Roots
from secondunit.handlers.tools.storage.safe_open import Opener
from secondunit.queue.errors import BadPayload
from secondunit.queue.outcome import Deterministic
from secondunit.testing.folder_log import folder_log
from secondunit.testing.handler_kit import FakeContext

ODD_NAMES = (
    "two words",
    'it\'s "quoted"',
    "new\nline",
    "-rf",
    "100%d",
    "a:b",
    "ünïcödé 映画",
    "tab\there",
    "$(id)",
    "*",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "media").mkdir()
    return tmp_path / "media"


@pytest.fixture(params=[True, False], ids=["openat2", "by name"])
def files(root: Path, request: pytest.FixtureRequest) -> Iterator[LocalFiles]:
    files = LocalFiles([root], log=folder_log(), opener=Opener(openat2=request.param))
    yield files
    files.close()


def refusal(files: LocalFiles, path: str) -> str:
    with pytest.raises(BadPayload) as caught:
        files.check("inputPath", path)
    (error,) = caught.value.errors
    assert error.field == "inputPath"
    return error.message


async def kind_of_refusal(files: LocalFiles, path: Path) -> str:
    with pytest.raises(Deterministic) as caught:
        async with files.source(str(path)):
            pass
    return caught.value.type


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_this_kernel_has_openat2() -> None:
    assert Opener().has_openat2


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_may_hold_anything(files: LocalFiles, root: Path, name: str) -> None:
    files.check("inputPath", f"{root}/{name}/{name}.mp4")
    place = Roots([root]).locate(f"{root}/{name}/{name}.mp4")
    assert (place.root, place.names) == (root, (name, f"{name}.mp4")), "no part of a name is taken for anything else"


def test_what_cannot_be_right_is_refused_by_name(files: LocalFiles, root: Path) -> None:
    outside = refusal(files, "/etc/passwd")
    assert "MEDIA_ROOTS" in outside and str(root) in outside
    assert "not absolute" in refusal(files, "clip.mp4")
    assert "not absolute" in refusal(files, "")
    assert "'..'" in refusal(files, f"{root}/../media/clip.mp4")
    assert "MEDIA_ROOTS" in refusal(files, f"{root}-2/clip.mp4")
    assert "itself" in refusal(files, f"{root}/")
    assert "own use" in refusal(files, f"{root}/./.secondunit/x")
    assert "NUL" in refusal(files, f"{root}/a\0b")
    assert "UTF-8" in refusal(files, f"{root}/\ud800")
    assert "too long" in refusal(files, f"{root}/{'x' * 256}")
    assert "too long" in refusal(files, f"{root}/{'long/' * 1000}")


def test_a_long_path_does_not_make_a_long_message(files: LocalFiles) -> None:
    assert len(refusal(files, "/" + "x" * 100_000)) < 1000


def test_a_folder_that_holds_an_input_or_a_root_is_refused(root: Path) -> None:
    (root / "inner" / "disk").mkdir(parents=True)
    files = LocalFiles([root, root / "inner" / "disk"])
    files.check_folder("outputDir", f"{root}/out", [f"{root}/in/clip.mp4", f"{root}/out.mp4"])
    for folder, inputs in (
        (f"{root}/in", [f"{root}/in/clip.mp4"]),
        (f"{root}/in/clip.mp4", [f"{root}//in/clip.mp4"]),
        (f"{root}", []),
        (f"{root}/inner", []),
        (f"{root}/inner/disk", []),
    ):
        with pytest.raises(BadPayload, match="outputDir"):
            files.check_folder("outputDir", folder, inputs)
    files.close()


def test_an_input_that_is_refused_itself_is_not_the_folders_fault(files: LocalFiles, root: Path) -> None:
    files.check_folder("outputDir", f"{root}/out", ["/etc/passwd", f"{root}/../out", "out", f"{root}/out\0"])
    with pytest.raises(BadPayload) as caught:
        files.check_folder("outputDir", f"{root}/out", ["/etc/passwd", f"{root}/out/clip.mp4"])
    [error] = caught.value.errors
    assert error.field == "outputDir" and "clip.mp4" in error.message and "passwd" not in error.message


def test_the_most_specific_root_counts(root: Path) -> None:
    (root / "disk").mkdir()
    files = LocalFiles([root, root / "disk"])
    with pytest.raises(BadPayload, match="itself"):
        files.check("inputPath", f"{root}/disk")
    files.close()


def test_a_root_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LocalFiles([tmp_path / "unmounted"])


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_an_input_can_be_read_here_and_by_a_child(files: LocalFiles, root: Path, name: str) -> None:
    (root / name).write_bytes(b"content")
    async with files.source(f"{root}/{name}") as source:
        assert (source.name, source.size) == (name, 7)
        assert await asyncio.to_thread(source.path.read_bytes) == b"content"
        cat = ["cat", str(source.path)]
        child = await asyncio.to_thread(
            lambda: subprocess.run(cat, pass_fds=[source.fd], capture_output=True, check=True)
        )
        assert child.stdout == b"content"
    assert not source.path.exists()


async def test_an_inputs_identity_changes_with_its_content(files: LocalFiles, root: Path) -> None:
    async def identity() -> str:
        async with files.source(str(root / "clip")) as source:
            return source.identity

    (root / "clip").write_bytes(b"one")
    first, again = await identity(), await identity()
    (root / "clip").write_bytes(b"more")

    assert first == again != await identity()


async def test_what_is_no_input_is_told_by_kind(files: LocalFiles, root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe")
    (root / "out").symlink_to(tmp_path)
    (root / "absolute").symlink_to("/etc/passwd")
    (root / "up").symlink_to("../secret")
    (root / "magic").symlink_to("/proc/self/fd/0")
    (root / "loop").symlink_to("loop")
    kinds = {
        "gone": "source_missing",
        "folder/gone": "source_missing",
        "folder": "not_a_file",
        "pipe": "not_a_file",
        "out/secret": "outside_roots",
        "absolute": "outside_roots",
        "up": "outside_roots",
        "magic": "outside_roots",
        "loop": "outside_roots",
    }

    assert {name: await kind_of_refusal(files, root / name) for name in kinds} == kinds
    assert await kind_of_refusal(files, Path("/etc/passwd")) == "outside_roots"


async def test_a_link_that_stays_beneath_the_root_is_followed(root: Path) -> None:
    files = LocalFiles([root])
    (root / "real").mkdir()
    (root / "real" / "clip").write_text("content")
    (root / "link").symlink_to("real")
    (root / "real" / "back").symlink_to("../link/clip")
    async with files.source(f"{root}/link/back") as source:
        assert source.size == 7
    files.close()


async def test_a_raced_link_never_leads_outside(files: LocalFiles, root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "clip").write_text("secret")
    (root / "real").mkdir()
    (root / "real" / "clip").write_text("fine")
    (root / "link").symlink_to(tmp_path / "outside")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (root / "real").rename(root / "aside")
            (root / "link").rename(root / "real")
            (root / "real").rename(root / "link")
            (root / "aside").rename(root / "real")

    swapper = threading.Thread(target=swap)
    swapper.start()
    read = set()
    try:
        for _ in range(300):
            try:
                async with files.source(f"{root}/real/clip") as source:
                    read.add(os.pread(source.fd, 100, 0))
            except Deterministic as refused:
                read.add(refused.type.encode())
    finally:
        stop.set()
        swapper.join()

    assert b"fine" in read and read <= {b"fine", b"outside_roots", b"source_missing"}


async def test_an_output_never_passes_a_link(files: LocalFiles, root: Path, tmp_path: Path) -> None:
    (root / "real").mkdir()
    (root / "inside").symlink_to("real")
    (root / "outside").symlink_to(tmp_path)
    ctx = await FakeContext.open(tmp_path)
    for link in ("inside", "outside"):
        for stage in (files.target, files.folder):
            with pytest.raises(Deterministic) as caught:
                async with stage(f"{root}/{link}/new", ctx):
                    pass
            assert caught.value.type == "outside_roots"


async def test_a_link_at_the_outputs_name_is_replaced_not_followed(
    files: LocalFiles, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "precious").write_text("precious")
    (root / "out.webp").symlink_to(tmp_path / "precious")
    async with files.target(f"{root}/out.webp", await FakeContext.open(tmp_path)) as staged:
        staged.path.write_text("made")
        await staged.publish()

    assert (tmp_path / "precious").read_text() == "precious"
    assert (root / "out.webp").read_text() == "made" and not (root / "out.webp").is_symlink()


async def test_cancelling_leaves_no_descriptor_open(files: LocalFiles, root: Path) -> None:
    (root / "clip").write_text("content")

    async def use() -> None:
        async with files.source(f"{root}/clip"):
            await asyncio.sleep(60)

    await asyncio.to_thread(int)
    before = open_descriptors()
    for delay in (0, 0.0001, 0.001, 0.01):
        using = asyncio.create_task(use())
        await asyncio.sleep(delay)
        using.cancel()
        with pytest.raises(asyncio.CancelledError):
            await using

    assert open_descriptors() == before
