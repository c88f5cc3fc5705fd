"""Incoming files: streamed to disk as they come, counted, hashed and synced; StoreFull where the disk has no room."""

import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.queue.errors import StoreFull
from secondunit.queue.outcome import DISK_FULL
from secondunit.queue.value import Value


class Arrival(Value, frozen=True):
    """What came: how many bytes, and their SHA-256 in hex."""

    size: int
    digest: str


async def written(
    create: Callable[[], BinaryIO], chunks: AsyncIterator[bytes], limit: int, too_large: Exception, what: str
) -> Arrival:
    """Bring what comes to the disk, in the file that `create` makes; `too_large` for more than `limit` bytes.

    `what` is what a full disk is told to lack. A file that is not whole is the caller's to remove.
    """
    digest, size = hashlib.sha256(), 0
    with told_when_full(what):
        file = await in_thread(create)
    try:
        async for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise too_large
            with told_when_full(what):
                await in_thread(_append, file, digest, chunk)
        with told_when_full(what):
            await in_thread(_flush, file)
    finally:
        await in_thread(_close, file)
    return Arrival(size, digest.hexdigest())


@contextmanager
def told_when_full(what: str) -> Iterator[None]:
    """Within, a disk without room is StoreFull."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise StoreFull(f"the disk is full: {what} was not stored") from None
        raise


def _append(file: BinaryIO, digest: "hashlib._Hash", chunk: bytes) -> None:
    digest.update(chunk)
    file.write(chunk)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _close(file: BinaryIO) -> None:
    with suppress(OSError):  # what is whole was synced, what is not is removed
        file.close()
