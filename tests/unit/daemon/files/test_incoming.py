"""A file that comes in: counted, hashed and closed, and a disk without room told by its name."""

import errno
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import pytest

from secondunit.daemon.files.incoming import Arrival, written
from secondunit.queue.errors import StoreFull

CONTENT = (b"first ", b"last")


class TooLarge(Exception):
    """More came than fits."""


class Disk(io.FileIO):
    """A file on a disk that takes so many bytes, and then fails."""

    def __init__(self, path: Path, room: int = 100, fault: int = errno.ENOSPC) -> None:
        super().__init__(path, "xb")
        self._room = room
        self._fault = fault

    def write(self, data: object) -> int:
        content = bytes(data)  # type: ignore[call-overload]  # a buffer
        if len(content) > self._room:
            raise OSError(self._fault, "injected")
        self._room -= len(content)
        return super().write(content)


async def chunks() -> AsyncIterator[bytes]:
    for chunk in CONTENT:
        yield chunk


async def come(file: Disk, limit: int = 100) -> Arrival:
    return await written(lambda: buffered(file), chunks(), limit, TooLarge("too large"), "the film")


def buffered(file: Disk) -> BinaryIO:
    return io.BufferedWriter(file)


async def test_what_came_is_on_the_disk_and_known_by_its_size_and_digest(tmp_path: Path) -> None:
    file = Disk(tmp_path / "a")
    whole = b"".join(CONTENT)
    assert await come(file, len(whole)) == Arrival(len(whole), hashlib.sha256(whole).hexdigest())
    assert (tmp_path / "a").read_bytes() == whole
    assert file.closed


async def test_more_than_fits_is_refused_as_the_caller_says(tmp_path: Path) -> None:
    file = Disk(tmp_path / "a")
    with pytest.raises(TooLarge):
        await come(file, len(CONTENT[0]))
    assert file.closed


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EDQUOT])
async def test_a_full_disk_is_told_by_what_it_lacks_room_for(tmp_path: Path, fault: int) -> None:
    file = Disk(tmp_path / "a", 1, fault)
    with pytest.raises(StoreFull, match="the disk is full: the film was not stored"):
        await come(file)
    assert file.closed


async def test_a_disk_that_fails_is_no_full_one(tmp_path: Path) -> None:
    file = Disk(tmp_path / "a", 1, errno.EIO)
    with pytest.raises(OSError, match="injected"):
        await come(file)
    assert file.closed
