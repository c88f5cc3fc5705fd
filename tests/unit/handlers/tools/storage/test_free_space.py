"""Free space of outputs: a run begins nothing on a full disk, and that costs it nothing."""

import os
from pathlib import Path

import pytest

from secondunit.handlers.tools.storage.free_space import FLOOR, lacking
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
    with pytest.raises(Postponed, match=f"disk_full: on the disk of {root} 0 MiB are free"):
        async with getattr(files, kind)(str(root / "out"), ctx):
            raise AssertionError("it began")
    files.close()
    assert not list(root.iterdir())
