"""Fenced S3 upload: whole or not at all, and only while the run holds its job.

A file of one request is put on the condition that what it replaces is still what stood there before the lease was
looked at, so a run that was superseded can't overwrite what came after it, however late its request arrives. Of a
file of many parts S3 takes no condition through obstore: there the lease is looked at as the last part is handed over.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from secondunit.handlers.tools.byte_progress import describe
from secondunit.handlers.tools.cancellation import in_thread, to_the_end
from secondunit.handlers.tools.storage.content_types import content_type_of
from secondunit.handlers.tools.storage.s3.client import S3, Changed, ObjectInfo
from secondunit.handlers.tools.storage.s3.urls import S3Path
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Transient

ONE_REQUEST = 16 << 20
PART, MOST_PARTS = 8 << 20, 9000
TRIES = 5
ABORTED_WITHIN = 3.0
JOB, EPOCH = "secondunit-job", "secondunit-epoch"
Fence = Callable[[], Awaitable[None]]


class Sending:
    """Tells how much of all that a run uploads is there."""

    def __init__(self, ctx: JobContext, total: int) -> None:
        self._ctx = ctx
        self._total = total
        self._sent = 0

    async def add(self, size: int) -> None:
        """So many bytes more."""
        self._sent += size
        self._ctx.beat()  # the words need not change for many parts
        await self._ctx.progress(1.0, f"uploading, {describe(self._sent, self._total, None)}")


async def still_held(ctx: JobContext) -> None:
    """LeaseLost unless this run still holds its job: every write is fenced, one of nothing too."""
    await ctx.stats()


def marks_of(ctx: JobContext) -> Mapping[str, str]:
    """What an object tells of the run that wrote it."""
    return {JOB: ctx.job_id, EPOCH: str(ctx.epoch)}


async def publish(s3: S3, s3_path: S3Path, file: Path, ctx: JobContext) -> int:
    """Put a file where readers look for it; its size in bytes."""
    size = (await in_thread(file.stat)).st_size
    sending = Sending(ctx, size)
    if size <= ONE_REQUEST:
        content = await in_thread(file.read_bytes)
        etag, _ = await publish_content(s3, s3_path, content, ctx, marks_of(ctx))
        await sending.add(size)
    else:
        etag = await _put_parts(s3, s3_path, file, size, ctx, sending, lambda: still_held(ctx))
    await _verify(s3, s3_path, ObjectInfo(size, etag, marks_of(ctx)))
    return size


async def publish_content(
    s3: S3, s3_path: S3Path, content: bytes, ctx: JobContext, marks: Mapping[str, str]
) -> tuple[str, ObjectInfo | None]:
    """Put a small object where readers look for it; its ETag, and what it replaced as far as that is known."""
    for _ in range(TRIES):
        standing = await s3.find(s3_path)
        if standing and _wrote(marks_of(ctx), standing):  # the answer to the last try was lost on its way
            return standing.etag, None
        await still_held(ctx)
        with suppress(Changed):
            return await s3.put(s3_path, content, content_type_of(s3_path.key), marks, instead_of=standing), standing
    raise Transient(f"{s3_path} is overwritten by others again and again", type="output_contended")


async def put_private(s3: S3, s3_path: S3Path, file: Path, ctx: JobContext, sending: Sending) -> None:
    """Put a file under a name that is this run's alone, so that nothing can be overwritten by it."""
    size = (await in_thread(file.stat)).st_size
    if size <= ONE_REQUEST:
        content = await in_thread(file.read_bytes)
        await s3.put(s3_path, content, content_type_of(s3_path.key), marks_of(ctx), instead_of="anything")
        await sending.add(size)
    else:
        await _put_parts(s3, s3_path, file, size, ctx, sending, None)


async def _put_parts(
    s3: S3, s3_path: S3Path, file: Path, size: int, ctx: JobContext, sending: Sending, fence: Fence | None
) -> str:
    part_size = max(PART, -(-size // MOST_PARTS))
    content = await in_thread(file.open, "rb")
    parts = _Parts(content, part_size, sending, fence)
    upload = asyncio.create_task(
        s3.put_parts(s3_path, parts.each(), part_size, content_type_of(s3_path.key), marks_of(ctx))
    )
    try:
        return await asyncio.shield(upload)
    finally:
        await to_the_end(_stopped(upload, parts, content))


async def _stopped(upload: asyncio.Task[str], parts: "_Parts", content: BinaryIO) -> None:
    """Stop an upload that may be under way, and let go of its file."""
    parts.stop = True
    if not upload.done() and not parts.ended:  # it is told at its next part, and has S3 forget those before
        await asyncio.wait([upload], timeout=ABORTED_WITHIN)
    upload.cancel()
    await asyncio.wait([upload])
    if not upload.cancelled():
        upload.exception()
    await in_thread(content.close)


class _Stopped(Exception):
    """The upload is not to be finished."""


class _Parts:
    """The parts of a file; when the last one is handed over, `fence` decides whether they become an object."""

    def __init__(self, content: BinaryIO, size: int, sending: Sending, fence: Fence | None) -> None:
        self.stop = False
        self.ended = False
        self._content = content
        self._size = size
        self._sending = sending
        self._fence = fence

    async def each(self) -> AsyncIterator[bytes]:
        while part := await in_thread(self._content.read, self._size):
            self._go_on()
            yield part
            await self._sending.add(len(part))
        if self._fence:
            await self._fence()
        self._go_on()
        self.ended = True

    def _go_on(self) -> None:
        if self.stop:
            raise _Stopped


async def _verify(s3: S3, s3_path: S3Path, made: ObjectInfo) -> None:
    """Raise if S3 does not have what it took, unless somebody else has put something there since."""
    found = await s3.find(s3_path)
    if found is None:
        raise Transient(f"{s3_path} is not there, although S3 took it", type="upload_lost")
    if _wrote(made.marks, found) and (found.size, found.etag) != (made.size, made.etag):
        raise Transient(f"{s3_path} has {found.size} bytes after an upload of {made.size}", type="upload_damaged")


def _wrote(marks: Mapping[str, str], found: ObjectInfo) -> bool:
    return all(found.marks.get(name) == marks[name] for name in (JOB, EPOCH))
