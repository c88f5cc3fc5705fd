"""The bound over all types counts what runs already, not only what one claim brings."""

import asyncio
from typing import Any

from secondunit.queue.handler import JobContext
from secondunit.testing.rig import Rig, spec


async def test_a_place_that_becomes_free_is_one_place() -> None:
    running: dict[int, asyncio.Event] = {}

    async def run(ctx: JobContext, payload: Any) -> None:
        running[payload.n] = asyncio.Event()
        await running[payload.n].wait()
        del running[payload.n]

    rig = Rig(spec("hls", run, concurrency=3), spec("thumbnail", run, concurrency=3), most=4)
    async with rig.working():
        for n in range(5):
            await rig.submit("hls", n)
            await rig.submit("thumbnail", 10 + n)
        await rig.clock.settle()
        running[min(running)].set()
        await rig.clock.settle()
        assert len(running) == len(rig.worker.leases()) == 4
