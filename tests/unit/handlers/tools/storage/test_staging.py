"""Outputs appear whole or not at all, replace only what they may, and leave nothing behind."""

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
from secondunit.handlers.tools.storage.safe_open import Opener
from secondunit.handlers.tools.storage.staging import staged_leases, sweep_staging
from secondunit.handlers.tools.waiting import ON_DISK
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.testing.folder_log import folder_log
from secondunit.testing.handler_kit import FakeContext


class NoExchange(Opener):
    """A file system that can't swap two names, as NFS can't."""

    def exchange(self, folder: int, name: str, other_folder: int, other_name: str) -> None:
        raise OSError(22, "Invalid argument")


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


async def publish(files: LocalFiles, path: Path, ctx: FakeContext, **parts: str) -> None:
    """Publish a folder of small files."""
    async with files.folder(str(path), ctx) as staged:
        for name, text in parts.items():
            (staged.path / name).write_text(text)
        await staged.publish({"parts": sorted(parts)})


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


async def test_a_file_replaces_a_file_at_once_and_never_a_folder(
    files: LocalFiles, root: Path, ctx: FakeContext
) -> None:
    (root / "old.webp").write_text("old")
    (root / "folder.webp").mkdir()
    async with files.target(f"{root}/old.webp", ctx) as staged:
        staged.path.write_text("new")
        assert (root / "old.webp").read_text() == "old"
        await staged.publish()
    with pytest.raises(Deterministic) as caught:
        async with files.target(f"{root}/folder.webp", ctx):
            pass

    assert (root / "old.webp").read_text() == "new"
    assert caught.value.type == "output_is_a_folder"


async def test_a_folder_that_appears_meanwhile_is_not_replaced_by_a_file(
    files: LocalFiles, root: Path, ctx: FakeContext
) -> None:
    async with files.target(f"{root}/out", ctx) as staged:
        staged.path.write_text("new")
        (root / "out").mkdir()
        with pytest.raises(Deterministic, match="is a folder"):
            await staged.publish()


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


@pytest.mark.parametrize("opener", [Opener(), Opener(openat2=False), NoExchange()], ids=["best", "by name", "no swap"])
async def test_a_folder_of_ours_is_replaced_as_a_whole(root: Path, ctx: FakeContext, opener: Opener) -> None:
    files = LocalFiles([root], log=folder_log(), opener=opener)
    await publish(files, root / "film", ctx, old="1", both="1")
    async with files.folder(f"{root}/film", ctx) as staged:
        assert await staged.published() == {"madeBy": "secondunit", "parts": ["both", "old"]}
    await publish(files, root / "film", ctx, new="2", both="2")
    files.close()

    assert sorted(path.name for path in (root / "film").iterdir()) == ["both", "manifest.json", "new"]
    assert (root / "film" / "both").read_text() == "2"
    assert list((root / ".secondunit").iterdir()) == []


async def test_an_empty_folder_is_replaced(files: LocalFiles, root: Path, ctx: FakeContext) -> None:
    (root / "film").mkdir()
    await publish(files, root / "film", ctx, new="1")

    assert (root / "film" / "new").exists()


@pytest.mark.parametrize("manifest", [None, "{}", "[]", "not json", '{"madeBy": "somebody"}', "[" * 100_000], ids=str)
async def test_a_folder_of_somebody_elses_is_never_replaced(
    files: LocalFiles, root: Path, ctx: FakeContext, manifest: str | None
) -> None:
    (root / "photos").mkdir()
    (root / "photos" / "precious.jpg").write_text("precious")
    if manifest is not None:
        (root / "photos" / "manifest.json").write_text(manifest)
    with pytest.raises(Deterministic) as caught:
        await publish(files, root / "photos", ctx, new="1")

    assert caught.value.type == "output_not_ours"
    assert (root / "photos" / "precious.jpg").read_text() == "precious"


async def test_a_file_or_a_link_is_never_replaced_by_a_folder(
    files: LocalFiles, root: Path, ctx: FakeContext, tmp_path: Path
) -> None:
    (root / "file").write_text("precious")
    await publish(files, root / "film", ctx, part="1")
    (root / "link").symlink_to("film")
    for name in ("file", "link"):
        with pytest.raises(Deterministic, match="did not make"):
            await publish(files, root / name, ctx, new="1")

    assert (root / "film" / "part").exists()


async def test_files_that_appear_meanwhile_are_not_replaced(files: LocalFiles, root: Path, ctx: FakeContext) -> None:
    async with files.folder(f"{root}/film", ctx) as staged:
        (root / "film").mkdir()
        (root / "film" / "precious").write_text("precious")
        with pytest.raises(Deterministic, match="did not make"):
            await staged.publish({})

    assert (root / "film" / "precious").exists()


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


def test_the_sweep_removes_what_dead_leases_left(root: Path, tmp_path: Path) -> None:
    for lease in ("job_1-1", "job_2-5"):
        (root / ".secondunit" / lease / "1").mkdir(parents=True)
    (tmp_path / "never-used").mkdir()
    sweep_staging([root, tmp_path / "never-used"], keep={"job_2-5"})

    assert [path.name for path in (root / ".secondunit").iterdir()] == ["job_2-5"]


def test_the_sweep_does_not_follow_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "precious" / "photos" / "1").mkdir(parents=True)
    (root / ".secondunit").symlink_to(tmp_path / "precious")
    sweep_staging([root])
    assert staged_leases([root]) == set()
    (root / ".secondunit").unlink()
    (root / ".secondunit").mkdir()
    for link in ("job_1-1", "job_2-1/1"):
        (root / ".secondunit" / link).parent.mkdir(exist_ok=True)
        (root / ".secondunit" / link).symlink_to(tmp_path / "precious")
    sweep_staging([root])

    assert (tmp_path / "precious" / "photos" / "1").exists()


@pytest.mark.parametrize("exchanged", [".secondunit", ".secondunit/job_1-7", ".secondunit/job_1-7/1"])
async def test_an_output_is_written_where_it_was_staged_whatever_is_put_in_the_place_of_its_folders(
    files: LocalFiles, root: Path, ctx: FakeContext, tmp_path: Path, exchanged: str
) -> None:
    (tmp_path / "outside" / "job_1-7" / "1").mkdir(parents=True)
    async with files.target(f"{root}/out.webp", ctx) as staged:
        (root / exchanged).rename(root / "aside")
        (root / exchanged).symlink_to(tmp_path / "outside")
        staged.path.write_text("made")
        written = ["sh", "-c", 'echo more >> "$0"', str(staged.path)]
        assert await asyncio.to_thread(lambda: subprocess.run(written, pass_fds=staged.fds, check=True).returncode) == 0
        await staged.publish()
    assert (root / "out.webp").read_text() == "mademore\n"
    assert [path.name for path in (tmp_path / "outside").rglob("*")] == ["job_1-7", "1"]


@pytest.mark.parametrize("put_there", ["a folder of another's", "a folder with something in it"])
async def test_a_folder_that_is_not_the_one_we_made_is_not_staged_in(
    root: Path, ctx: FakeContext, monkeypatch: pytest.MonkeyPatch, put_there: str
) -> None:
    real = os.mkdir

    def meddle(name: Any, *args: Any, **kwargs: Any) -> None:
        real(name, *args, **kwargs)
        if name == "1" and put_there == "a folder of another's":
            os.chown(root / ".secondunit" / "job_1-7" / "1", 65534, 65534)
        elif name == "1":
            (root / ".secondunit" / "job_1-7" / "1" / "output.webp").symlink_to("/etc/passwd")

    if os.geteuid() and put_there == "a folder of another's":
        pytest.skip("only root can give a folder away")
    files = LocalFiles([root])
    monkeypatch.setattr(os, "mkdir", meddle)
    with pytest.raises(Deterministic) as refused:
        async with files.target(f"{root}/out.webp", ctx):
            raise AssertionError("it was staged")
    files.close()
    assert refused.value.type == "staging_disturbed" and str(root / ".secondunit") in str(refused.value)


def test_the_sweep_leaves_alone_what_is_not_our_own(root: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a folder away")
    (root / ".secondunit" / "job_1-1" / "1" / "theirs").mkdir(parents=True)
    os.chown(root / ".secondunit" / "job_1-1" / "1", 65534, 65534)
    sweep_staging([root])

    assert (root / ".secondunit" / "job_1-1" / "1" / "theirs").exists()
