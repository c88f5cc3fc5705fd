import asyncio
import errno
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, suppress
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.waiting import ON_DISK
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.testing.folder_log import folder_log
from secondunit.testing.handler_kit import FakeContext
from tests.unit.handlers.tools.storage.publishing import publish


@pytest.fixture
def private_umask() -> Iterator[None]:
    """As the service's unit sets it."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_publishing_may_take_the_disk_its_time(files: LocalFiles, root: Path, ctx: FakeContext) -> None:
    await publish(files, root / "film", ctx, part="x")
    async with files.target(f"{root}/a.jpg", ctx) as staged:
        staged.path.write_text("x")
        del ctx.quiets["the output is brought to the disk"]
        await staged.publish()
    assert ctx.quiets == {"the output is brought to the disk": ON_DISK, "the staging folder is removed": ON_DISK}


async def test_a_file_is_staged_beside_its_root_under_a_safe_name(
    files: LocalFiles, root: Path, ctx: FakeContext
) -> None:
    async with files.target(f"{root}/100%d/it's.WebP", ctx) as staged:
        assert await asyncio.to_thread(staged.path.resolve) == root / ".secondunit" / "job_1-7" / "1" / "output.WebP"
        assert staged.path.name == "output.WebP"
        assert mode(root / ".secondunit") == mode(staged.path.parent) == 0o700
    async with files.target(f"{root}/odd.%d", ctx) as staged:
        assert staged.path.name == "output"


@pytest.mark.usefixtures("private_umask")
async def test_what_is_published_can_be_served(files: LocalFiles, root: Path, ctx: FakeContext) -> None:
    async with files.target(f"{root}/new/deep/out.webp", ctx) as staged:
        staged.path.write_text("made")
        assert await staged.publish() == 4
    async with files.folder(f"{root}/film", ctx) as folder:
        (folder.path / "720p").mkdir()
        (folder.path / "720p" / "1.m4s").write_text("made")
        await folder.publish({})

    assert (root / "new" / "deep" / "out.webp").read_text() == "made"
    public = ["new", "new/deep", "film", "film/720p"]
    assert [mode(root / name) for name in public] == [0o755] * 4
    assert [mode(root / name) for name in ("new/deep/out.webp", "film/720p/1.m4s", "film/manifest.json")] == [0o644] * 3


async def test_what_is_published_is_on_the_disk_before_it_has_its_name_and_its_name_too(
    files: LocalFiles, root: Path, ctx: FakeContext, synced: list[str]
) -> None:
    async with files.target(f"{root}/new/out.webp", ctx) as staged:
        staged.path.write_text("made")
        path = staged.path.resolve()
        synced.clear()
        await staged.publish()
        assert synced == [str(path), f"{root}/new"]
    async with files.folder(f"{root}/film", ctx) as folder:
        (folder.path / "720p").mkdir()
        (folder.path / "720p" / "1.m4s").write_text("made")
        path = folder.path.resolve()
        synced.clear()
        await folder.publish({})
        made = [f"{path}{name}" for name in ("/720p/1.m4s", "/720p", "/manifest.json", "")]
    assert sorted(synced[:-1]) == sorted(made)
    assert synced.index(made[0]) < synced.index(made[1]) < synced.index(made[3]), "a folder before what is in it"
    assert synced[-1] == str(root)


async def test_nothing_stays_that_was_not_published(files: LocalFiles, root: Path, ctx: FakeContext) -> None:
    async def half(error: bool) -> None:
        async with files.target(f"{root}/out.webp", ctx) as staged, files.folder(f"{root}/film", ctx) as folder:
            staged.path.write_text("half")
            (folder.path / "half").write_text("half")
            if error:
                raise KeyError

    with pytest.raises(KeyError):
        await half(error=True)
    await half(error=False)

    assert names(root) == [".secondunit"] and names(root / ".secondunit") == []


async def test_a_part_of_the_way_that_is_a_file_is_told(files: LocalFiles, root: Path, ctx: FakeContext) -> None:
    (root / "file").write_text("")
    with pytest.raises(Deterministic) as caught:
        async with files.target(f"{root}/file/out.webp", ctx):
            pass

    assert caught.value.type == "not_a_folder"


@pytest.mark.parametrize(
    ("number", "error", "type"),
    [
        (errno.EROFS, Transient, "read_only"),
        (errno.EACCES, Deterministic, "permission_denied"),
        (errno.EPERM, Deterministic, "permission_denied"),
        (errno.ESTALE, Transient, "folder_missing"),
    ],
)
@pytest.mark.parametrize("call", ["mkdir", "rename"])
async def test_a_folder_that_can_not_be_written_is_named(
    root: Path, ctx: FakeContext, monkeypatch: pytest.MonkeyPatch, number: int, error: Any, type: str, call: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number), "internal")

    async def write(kind: str) -> None:
        async with getattr(files, kind)(str(root / kind / "out"), ctx) as staged:
            (staged.path if kind == "target" else staged.path / "a").write_text("x")
            if call == "rename":
                monkeypatch.setattr(os, call, refuse)
            await (staged.publish() if kind == "target" else staged.publish({}))

    files = LocalFiles([root], log=folder_log())
    for kind in ("target", "folder"):
        if call == "mkdir":
            monkeypatch.setattr(os, call, refuse)
        with pytest.raises(error) as raised:
            await write(kind)
        monkeypatch.undo()
        said = str(raised.value)
        assert raised.value.type == type and str(root / kind) in said and "internal" not in said
    files.close()


async def test_a_root_that_is_gone_is_named(files: LocalFiles, root: Path, ctx: FakeContext) -> None:
    shutil.rmtree(root)
    with pytest.raises(Transient, match=f"{root} is gone") as raised:
        async with files.target(str(root / "out.jpg"), ctx):
            raise AssertionError("it was made")
    assert raised.value.type == "folder_missing"


@pytest.mark.parametrize("odd", ["/etc/passwd", "/etc", "nowhere", "socket", "pipe"])
async def test_what_is_neither_file_nor_folder_is_not_published(
    files: LocalFiles, root: Path, ctx: FakeContext, odd: str
) -> None:
    async with files.folder(f"{root}/film", ctx) as staged:
        if odd == "socket":
            with socket.socket(socket.AF_UNIX) as listener, chdir(staged.path):
                listener.bind("odd")
        elif odd == "pipe":
            os.mkfifo(staged.path / "odd")
        else:
            (staged.path / "odd").symlink_to(odd)
        with pytest.raises(Deterministic, match=r"not a file: odd|a symbolic link: odd") as refused:
            await staged.publish({})
        assert refused.value.type == "not_a_file", "the same would come of trying again"

    assert not (root / "film").exists()


PUBLISHER = """
import asyncio, sys
from pathlib import Path
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.testing.handler_kit import FakeContext

async def main(root, path):
    ctx = await FakeContext.open(Path(root).parent / "job", job_id="job_1")
    async with LocalFiles([Path(root)]).target(path, ctx) as staged:
        print("staged")
        staged.path.write_text("made")
        await staged.publish()

try:
    asyncio.run(main(*sys.argv[1:]))
except Exception as error:
    print(error.type)
"""


@pytest.mark.parametrize(
    ("mount", "said"),
    [("-t tmpfs none", "other_file_system"), ("--bind .", "staged\nother_file_system")],
    ids=["another file system is seen before the work", "a bind mount only afterwards"],
)
async def test_an_output_across_a_mount_is_refused(root: Path, mount: str, said: str) -> None:
    (root / "disk").mkdir()
    script = f'cd "$1" && mount {mount} disk && exec "$0" -c "$2" "$1" "$1/disk/out.webp"'
    namespace = ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*namespace, "true"], check=False).returncode:  # noqa: ASYNC221 - nothing else runs here
        pytest.skip("needs a mount namespace")
    child = [*namespace, "sh", "-c", script, sys.executable, str(root), PUBLISHER]

    assert (await asyncio.to_thread(subprocess.check_output, child, text=True)).strip() == said


async def test_cancelling_while_publishing_publishes_whole_or_not_at_all(
    files: LocalFiles, root: Path, ctx: FakeContext
) -> None:
    parts = {f"part{n}": "x" * 1000 for n in range(20)}
    for delay in (0, 0.0005, 0.002, 0.005, 0.02):
        publishing = asyncio.create_task(publish(files, root / "film", ctx, **parts))
        await asyncio.sleep(delay)
        publishing.cancel()
        with suppress(asyncio.CancelledError):  # it may have finished first
            await publishing
        if (root / "film").exists():
            manifest = json.loads((root / "film" / "manifest.json").read_text())
            assert sorted(manifest["parts"]) == sorted(p.name for p in (root / "film").glob("part*"))
        assert list((root / ".secondunit").glob("*")) == []


async def test_two_outputs_of_one_run_do_not_meet(files: LocalFiles, root: Path, ctx: FakeContext) -> None:
    async with files.target(f"{root}/a.jpg", ctx) as first, files.target(f"{root}/b.jpg", ctx) as second:
        first.path.write_text("a")
        second.path.write_text("b")
        await first.publish()
        await second.publish()

    assert (root / "a.jpg").read_text() + (root / "b.jpg").read_text() == "ab"
