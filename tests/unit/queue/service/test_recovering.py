"""Recovering: a job is taken from its run, whatever that does."""

import asyncio
from typing import Any

import pytest

from secondunit.queue.errors import (
    NotAllowed,
)
from secondunit.queue.handler import JobContext
from secondunit.queue.model import Status
from secondunit.testing.rig import Rig, spec


async def test_a_recovered_job_leaves_its_run_and_runs_again() -> None:
    ran: list[int] = []

    async def stuck_once(ctx: JobContext, payload: Any) -> str:
        ran.append(ctx.epoch)
        if len(ran) == 1:
            await asyncio.Event().wait()
        return "ok"

    rig = Rig(spec("hls", stuck_once))
    async with rig.working():
        job_id = await rig.submit("hls")
        await rig.clock.settle()
        before = await rig.job(job_id)
        after = await rig.queue.recover(job_id)
        assert after.status is Status.QUEUED and after.epoch > before.epoch
        job = await rig.queue.wait(job_id)
        assert (job.status, job.attempt, job.result) == (Status.COMPLETED, 1, "ok")
        assert len(ran) == 2
        with pytest.raises(NotAllowed):
            await rig.queue.recover(job_id)


class Recovered:
    """A job whose first run hangs, and what became of its runs."""

    def __init__(self) -> None:
        self.ran: list[int] = []
        self.stopped: list[int] = []
        self.go_on = asyncio.Event()
        self.rig = Rig(spec("hls", self._run, concurrency=2))

    async def _run(self, ctx: JobContext, payload: Any) -> str:
        self.ran.append(ctx.epoch)
        try:
            await (asyncio.Event() if ctx.epoch == 1 else self.go_on).wait()
        except asyncio.CancelledError:
            self.stopped.append(ctx.epoch)
            raise
        return "ok"


async def test_recovering_stops_the_old_run_and_not_the_one_that_follows_it_however_fast() -> None:
    recovered = Recovered()
    rig = recovered.rig
    async with rig.working():
        job_id = await rig.submit("hls")
        await rig.clock.settle()
        rig.store.answer.clear()
        recovering = asyncio.create_task(rig.queue.recover(job_id))
        await rig.clock.settle()
        assert (await rig.job(job_id)).status is Status.RUNNING, "the next run began before the answer came"
        rig.store.answer.set()
        await recovering
        await rig.clock.advance(60)
        recovered.go_on.set()
        job = await rig.queue.wait(job_id)
        assert (job.status, job.attempt, job.result) == (Status.COMPLETED, 1, "ok")
        assert [run.outcome for run in job.runs] == ["recovered", "completed"]
        assert (recovered.ran, recovered.stopped) == ([1, job.epoch], [1])


async def test_a_job_is_recovered_from_a_run_whose_claim_is_still_on_its_way() -> None:
    recovered = Recovered()
    rig = recovered.rig
    recovered.go_on.set()
    rig.store.arrive.clear()
    job_id = await rig.submit("hls")
    async with rig.working():
        await rig.store.on_the_way.wait()
        await rig.queue.recover(job_id)
        rig.store.arrive.set()
        job = await rig.queue.wait(job_id)
        assert (job.result, recovered.ran) == ("ok", [job.epoch]), "the run that was taken away never began"


async def test_a_run_is_recovered_by_its_epoch_and_no_later_one() -> None:
    recovered = Recovered()
    rig = recovered.rig
    async with rig.working():
        job_id = await rig.submit("hls")
        await rig.clock.settle()
        await rig.queue.recover(job_id, 1)
        await rig.clock.settle()
        with pytest.raises(NotAllowed, match="epoch 1 is over"):
            await rig.queue.recover(job_id, 1)
        recovered.go_on.set()
        assert (await rig.queue.wait(job_id)).result == "ok"
