"""Free space of outputs: a run begins nothing on a full disk, and that costs it nothing."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from secondunit.handlers.tools.storage.free_space import FLOOR, lacking, size_of
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.queue.outcome import Postponed
from secondunit.testing.folder_log import folder_log
from secondunit.testing.handler_kit import FakeContext

BLOCK = 4096


def disk(blocks: int, free: int, files: int = 100, files_free: int = 100) -> os.statvfs_result:
    return os.statvfs_result((BLOCK, BLOCK, blocks, free, free, files, files_free, files_free, 0, 255))


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (disk(1 << 20, FLOOR // BLOCK), None),
        (disk(1 << 20, FLOOR // BLOCK - 1), "7 MiB are free"),
        (disk(1000, 20), None),  # 2 % of a small one
        (disk(1000, 19), "0 MiB are free"),
        (disk(1 << 20, 1 << 19, files_free=0), "no more files can be made (it has no inodes left)"),
        (disk(1 << 20, 1 << 19, files=0, files_free=0), None),  # btrfs and others count none
        (disk(0, 0, 0, 0), None),  # a network's that does not know
    ],
)
def test_what_a_disk_lacks(found: os.statvfs_result, why: str | None) -> None:
    assert lacking(found) == why


@pytest.mark.parametrize("kind", ["target", "folder"])
async def test_nothing_is_begun_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    root = tmp_path / "media"
    root.mkdir()
    files, ctx = LocalFiles([root], log=folder_log()), await FakeContext.open(tmp_path / "job")
    monkeypatch.setattr(os, "fstatvfs", lambda _: disk(1 << 20, 0))
    with pytest.raises(Postponed, match=f"disk_full: on the disk of {root} 0 MiB are free") as postponed:
        async with getattr(files, kind)(str(root / "out"), ctx):
            raise AssertionError("it began")
    files.close()
    assert postponed.value.delay == timedelta(minutes=1) and not list(root.iterdir())


def test_an_input_takes_what_its_file_holds_and_what_is_elsewhere_or_no_file_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "film.mp4").write_bytes(b"123")
    (tmp_path / "link.mp4").symlink_to("film.mp4")
    assert [size_of(str(tmp_path / name)) for name in ("film.mp4", "link.mp4")] == [3, 3]
    nothing = (str(tmp_path), str(tmp_path / "gone"), "film.mp4", "s3://bucket/film.mp4", "/a\0b", None, 7)
    assert [size_of(path) for path in nothing] == [0] * len(nothing)
