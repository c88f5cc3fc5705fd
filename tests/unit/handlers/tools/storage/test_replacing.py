import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.storage.safe_open import Opener
from secondunit.queue.outcome import Deterministic
from secondunit.testing.folder_log import folder_log
from secondunit.testing.handler_kit import FakeContext
from tests.unit.handlers.tools.storage.publishing import publish


class NoExchange(Opener):
    """A file system that can't swap two names, as NFS can't."""

    def exchange(self, folder: int, name: str, other_folder: int, other_name: str) -> None:
        raise OSError(22, "Invalid argument")


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
