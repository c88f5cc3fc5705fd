"""Waiting for others, shown, so that a job is not taken for one that hangs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from secondunit.queue.clock import Clock
from secondunit.queue.handler import JobContext

TELL_EVERY = 5.0


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
        yield
    finally:
        telling.cancel()
        await asyncio.wait([telling])
        if not telling.cancelled():
            telling.result()  # it ended by an error of its own: the lease is lost, or the store
