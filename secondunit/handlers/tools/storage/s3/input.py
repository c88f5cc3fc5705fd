"""Resumable download of an input from a bucket into the job's own folder."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from secondunit.handlers.tools.byte_progress import amount, describe
from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.storage.partial_file import Origin, PartialFile
from secondunit.handlers.tools.storage.ports import Source
from secondunit.handlers.tools.storage.s3 import errors as s3_errors
from secondunit.handlers.tools.storage.s3.client import ANSWERS_WITHIN, S3, WAITS, Changed, ObjectInfo
from secondunit.handlers.tools.storage.s3.urls import S3Path
from secondunit.handlers.tools.storage.workspace import open_kept
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic, Transient


@asynccontextmanager
async def fetched(s3: S3, s3_path: S3Path, ctx: JobContext, most: int) -> AsyncIterator[Source]:
    """The object as a local file of at most `most` bytes; it is kept, so that a retry finds it again."""
    with ctx.quiet(ANSWERS_WITHIN, WAITS):
        found = await s3.find(s3_path)
    if found is None:
        raise s3_errors.missing(str(s3_path))
    if found.size > most:
        raise Deterministic(
            f"{s3_path} has {amount(found.size)}; MAX_DOWNLOAD_MB allows {amount(most)}", type="too_large"
        )
    partial = await in_thread(
        PartialFile, ctx.workspace.kept, f"s3-{hashlib.sha256(str(s3_path).encode()).hexdigest()[:16]}"
    )
    try:
        with ctx.quiet(ANSWERS_WITHIN, WAITS):
            await _complete(s3, s3_path, found, partial, ctx)
    finally:
        await in_thread(partial.close)
    async with open_kept(partial.path, s3_path.names[-1]) as source:
        yield replace(source, identity=f"s3-{found.etag.strip(chr(34))}-{found.size:x}")


async def _complete(s3: S3, s3_path: S3Path, found: ObjectInfo, partial: PartialFile, ctx: JobContext) -> None:
    origin = Origin(str(s3_path), found.etag, found.size, None)
    if await in_thread(partial.resume, origin.url, ctx.beat) != origin:
        await in_thread(partial.begin, origin)
    await in_thread(partial.reserve, found.size - partial.have)
    try:
        if partial.have < found.size:
            async with aclosing(s3.read(s3_path, found.etag, partial.have)) as pieces:
                async for piece in pieces:
                    await in_thread(partial.write, piece)
                    ctx.beat()
                    await ctx.progress(0.0, f"fetching the input, {describe(partial.have, found.size, None)}")
    except Changed:
        raise Transient(f"{s3_path} was changed while it was read", type="source_changed") from None
    if partial.have != found.size:
        raise Transient(f"{s3_path}: {partial.have} of {found.size} bytes came", type="incomplete_body")
