"""Handlers that do not stop: left to themselves, their job ended, their type stopped."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from secondunit.queue.handler import JobContext
from secondunit.queue.model import Status
from secondunit.queue.outcome import HANDLER_BROKE
from secondunit.queue.running.execution import INSIST_EVERY, INSIST_TIMES
from secondunit.queue.running.worker import LEFT_AT_MOST
from tests.unit.queue.running.bench import Bench

OVER = INSIST_EVERY * INSIST_TIMES


class Stubborn(Bench):
    """A job type whose runs go on whoever stops them, until the test is over."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(self._run, **fields)
        self.over = asyncio.Event()

    async def _run(self, ctx: JobContext, payload: Any) -> None:
        while not self.over.is_set():
            with suppress(asyncio.CancelledError):
                await self.over.wait()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[asyncio.Task[None]]:
        async with self.working() as worker:
            try:
                yield worker
            finally:
                self.over.set()
                await self.clock.settle()


async def test_a_handler_that_does_not_stop_is_left_to_itself_and_its_job_fails() -> None:
    bench = Stubborn(timeout=timedelta(seconds=10))
    async with bench.at_work() as worker:
        job_id = await bench.submit("evil")
        await bench.clock.advance(10 + OVER - 1)
        assert (await bench.job(job_id)).status is Status.RUNNING
        await bench.clock.advance(2)
        job = await bench.job(job_id)
        assert job.error is not None and job.error.type == HANDLER_BROKE
        assert (job.status, job.attempt) == (Status.FAILED, 1)
        await bench.goes_on(worker)


async def test_a_job_that_is_cancelled_ends_though_its_handler_does_not() -> None:
    bench = Stubborn(timeout=timedelta(hours=1))
    async with bench.at_work() as worker:
        job_id = await bench.submit("evil")
        await bench.clock.settle()
        cancelling = asyncio.create_task(bench.queue.cancel(job_id))
        await bench.clock.advance(OVER + 1)
        assert (await cancelling).status is Status.CANCELLED
        await bench.goes_on(worker)


async def test_a_job_does_not_run_beside_a_run_of_its_own_that_could_not_be_stopped() -> None:
    bench = Stubborn(timeout=timedelta(seconds=1), concurrency=2)
    async with bench.at_work():
        job_id = await bench.submit("evil")
        await bench.clock.advance(2 + OVER)
        await bench.queue.retry(job_id)
        await bench.clock.settle()
        job = await bench.job(job_id)
        assert job.error is not None and "an earlier run of this job goes on" in job.error.message
        assert len(bench.worker._left) == 1


async def test_a_type_whose_runs_can_not_be_stopped_stops_itself() -> None:
    bench = Stubborn(timeout=timedelta(seconds=1), concurrency=1)
    async with bench.at_work() as worker:
        jobs = [await bench.submit("evil") for _ in range(LEFT_AT_MOST + 3)]
        for _ in jobs:
            await bench.clock.advance(3 + OVER)
        statuses = [(await bench.job(job_id)).status for job_id in jobs]
        assert statuses == [Status.FAILED] * (LEFT_AT_MOST + 1) + [Status.QUEUED] * 2
        await bench.goes_on(worker)
