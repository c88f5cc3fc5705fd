"""Fetches an input from a bucket into the job's own folder, going on where an earlier run stopped."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from secondunit.handlers.tools.byte_progress import amount, describe
from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.storage.partial_file import Origin, Part
from secondunit.handlers.tools.storage.ports import Source
from secondunit.handlers.tools.storage.s3 import errors as s3_errors
from secondunit.handlers.tools.storage.s3.client import S3, Changed, Found
from secondunit.handlers.tools.storage.s3.urls import Spot
from secondunit.handlers.tools.storage.workspace import open_kept
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic, Transient


@asynccontextmanager
async def fetched(s3: S3, spot: Spot, ctx: JobContext, most: int) -> AsyncIterator[Source]:
    """The object as a local file of at most `most` bytes; it is kept, so that a retry finds it again."""
    found = await s3.find(spot)
    if found is None:
        raise s3_errors.missing(str(spot))
    if found.size > most:
        raise Deterministic(f"{spot} has {amount(found.size)}; MAX_DOWNLOAD_MB allows {amount(most)}", type="too_large")
    part = await in_thread(Part, ctx.workspace.kept, f"s3-{hashlib.sha256(str(spot).encode()).hexdigest()[:16]}")
    try:
        await _complete(s3, spot, found, part, ctx)
    finally:
        await in_thread(part.close)
    async with open_kept(part.path, spot.names[-1]) as source:
        yield replace(source, identity=f"s3-{found.etag.strip(chr(34))}-{found.size:x}")


async def _complete(s3: S3, spot: Spot, found: Found, part: Part, ctx: JobContext) -> None:
    origin = Origin(str(spot), found.etag, found.size, None)
    if await in_thread(part.resume, origin.url) != origin:
        await in_thread(part.begin, origin)
    await in_thread(part.reserve, found.size - part.have)
    try:
        if part.have < found.size:
            async with aclosing(s3.read(spot, found.etag, part.have)) as pieces:
                async for piece in pieces:
                    await in_thread(part.write, piece)
                    await ctx.progress(0.0, f"fetching the input, {describe(part.have, found.size, None)}")
    except Changed:
        raise Transient(f"{spot} was changed while it was read", type="source_changed") from None
    if part.have != found.size:
        raise Transient(f"{spot}: {part.have} of {found.size} bytes came", type="incomplete_body")
