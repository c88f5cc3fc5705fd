"""Waiting for others: shown, so that a job is not taken for one that hangs, and longer each time that they fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from secondunit.queue.clock import Clock
from secondunit.queue.handler import JobContext

TELL_EVERY = 5.0
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(minutes=10)


def pause(times: int) -> timedelta:
    """How long everybody leaves a service alone that failed again after so many pauses: 10 s, doubling, to 10 min."""
    return min(FIRST_PAUSE * (1 << min(times, 10)), LONGEST_PAUSE)


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
