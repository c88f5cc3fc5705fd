"""A type whose handler a test chooses, and its runs."""

import asyncio
from collections.abc import Callable
from typing import Any

from secondunit.queue.handler import JobContext
from secondunit.queue.model import Job, Status
from secondunit.testing.rig import Rig, Run, spec


def returns(make: Callable[[], Any]) -> Run:
    async def run(ctx: JobContext, payload: Any) -> Any:
        return make()

    return run


class Bench(Rig):
    """A job type that breaks the rules, beside one that does not."""

    def __init__(self, run: Any, **fields: Any) -> None:
        super().__init__(spec("evil", run, **fields), spec("good", returns(lambda: "done"), concurrency=5))

    async def ended(self, type: str = "evil") -> Job:
        job_id = await self.submit(type)
        await self.clock.settle()
        return await self.job(job_id)

    async def goes_on(self, worker: asyncio.Task[None]) -> None:
        """The worker lives, and runs other jobs."""
        assert not worker.done()
        assert (await self.ended("good")).status is Status.COMPLETED
