"""Waiting for others and for the disk, so that a job is not taken for one that hangs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import ParamSpec, TypeVar

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.queue.clock import Clock
from secondunit.queue.handler import JobContext

TELL_EVERY = 5.0
BETWEEN_TELLINGS = timedelta(minutes=1)
ON_DISK = timedelta(minutes=30)  # the fsync of a large file, the removal of a large folder: no call says how far it is

T = TypeVar("T")
P = ParamSpec("P")


@asynccontextmanager
async def waiting(ctx: JobContext, clock: Clock, what: str, *, done: float = 0.0) -> AsyncIterator[None]:
    """While inside, say every five seconds for what the job waits and for how long; `done` of the phase is done."""
    began = clock.monotonic()

    async def tell() -> None:
        while True:
            await clock.sleep(TELL_EVERY)
            await ctx.progress(done, f"{what} ({clock.monotonic() - began:.0f} s)")

    telling = asyncio.create_task(tell())
    try:
        with ctx.quiet(BETWEEN_TELLINGS, what):
            yield
    finally:
        telling.cancel()
        await asyncio.wait([telling])
        if not telling.cancelled():
            telling.result()  # it ended by an error of its own: the lease is lost, or the store


async def on_disk(ctx: JobContext, what: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function off the loop, as `in_thread` does; it may take the disk half an hour."""
    with ctx.quiet(ON_DISK, what):
        return await in_thread(function, *args, **kwargs)
