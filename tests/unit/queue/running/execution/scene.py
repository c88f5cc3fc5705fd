"""One run under one lease, from its start to its outcome."""

import asyncio
from typing import Any

from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.model import Job
from secondunit.queue.outcome import Released
from secondunit.queue.running.execution import Execution
from secondunit.testing.jobs import claim, held
from secondunit.testing.rig import Rig, Run, spec

DRAIN = Released("drain")


class One(Rig):
    """One running job of type hls."""

    def __init__(self, run: Run, **fields: Any) -> None:
        self.spec: HandlerSpec = spec("hls", run, **fields)
        super().__init__(self.spec)

    async def begin(self, **fields: Any) -> Execution:
        await self.submit("hls", **fields)
        [job] = await claim(self.store, 1, at=self.clock.now())
        return Execution(job, held(job), self.spec, self.runtime, self.clock.monotonic())

    async def ended(self, execution: Execution) -> Job:
        """The job after the run, which is to end without time passing."""
        async with asyncio.timeout(30):
            await execution.run()
        return await self.job(execution.job.id)

    async def running(self, **fields: Any) -> tuple[Execution, asyncio.Task[None]]:
        execution = await self.begin(**fields)
        task = asyncio.create_task(execution.run())
        await self.clock.settle()
        return execution, task


async def wait_for_ever(ctx: JobContext, payload: Any) -> None:
    await asyncio.Event().wait()


def returning(value: Any) -> Run:
    async def run(ctx: JobContext, payload: Any) -> Any:
        return value

    return run


def raising(error: BaseException) -> Run:
    async def run(ctx: JobContext, payload: Any) -> None:
        raise error

    return run
