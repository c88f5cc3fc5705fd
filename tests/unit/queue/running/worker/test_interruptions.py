"""Runs that are interrupted or die: their own run only, and no neighbour."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue.errors import StoreBroken
from secondunit.queue.handler import JobContext
from secondunit.queue.model import Status
from secondunit.queue.running.worker import LONGEST_NAP
from secondunit.queue.value import replace
from secondunit.testing.jobs import BOOT, TTL, later
from secondunit.testing.rig import Rig, spec
from tests.unit.queue.running.worker.scene import Stage


async def test_a_job_that_is_cancelled_while_its_claim_is_on_the_way_is_stopped_at_once() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls"))
    rig.store.arrive.clear()
    job_id = await rig.submit("hls")
    async with rig.working():
        await rig.store.on_the_way.wait()
        cancelling = asyncio.create_task(rig.queue.cancel(job_id))
        await rig.clock.settle()
        rig.store.arrive.set()
        await rig.clock.settle()
        assert (await cancelling).status is Status.CANCELLED
    assert stage.order == [] and rig.clock.monotonic() == 0


async def test_an_interruption_that_reaches_the_wrong_run_cancels_nothing() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls"))
    async with rig.working():
        job_id = await rig.submit("hls")
        await rig.clock.settle()
        rig.worker.stop_run(*rig.worker.leases())
        await rig.clock.settle()
        job = await rig.job(job_id)
        assert (job.status, job.attempt, job.epoch) == (Status.RUNNING, 1, 2)


async def test_a_job_that_was_taken_away_starts_again_once_its_old_run_is_gone() -> None:
    alive, most_alive, cleaned = 0, 0, asyncio.Event()

    async def run(ctx: JobContext, payload: Any) -> int:
        nonlocal alive, most_alive
        alive += 1
        most_alive = max(alive, most_alive)
        try:
            if ctx.epoch == 1:
                await asyncio.Event().wait()
        finally:
            if ctx.epoch == 1:
                await cleaned.wait()
            alive -= 1
        return ctx.epoch

    rig = Rig(spec("hls", run, concurrency=2))
    async with rig.working():
        job_id = await rig.submit("hls")
        await rig.clock.settle()
        again = await rig.queue.recover(job_id)
        await rig.clock.settle()
        leases = [lease.epoch for lease in rig.worker.leases()]
        assert leases == [1, again.epoch + 1], "the new lease is kept while it waits"
        cleaned.set()
        job = await rig.queue.wait(job_id)
        await rig.clock.settle()
        assert (job.result, most_alive, rig.worker.leases()) == (again.epoch + 1, 1, [])


async def test_losing_a_lease_stops_that_run_and_no_later_one() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls"))
    async with rig.working():
        job_id = await rig.submit("hls")
        await rig.clock.settle()
        [lease] = rig.worker.leases()
        assert (lease.boot, lease.until) == (BOOT, later(TTL.total_seconds()))
        rig.worker.lose(replace(lease, epoch=lease.epoch - 1))
        rig.worker.lose(replace(lease, job_id="another"))
        await rig.clock.settle()
        assert stage.jobs[job_id] == 1
        rig.worker.lose(lease)
        await rig.clock.settle()
        assert stage.jobs[job_id] == 0


async def test_a_broken_store_takes_the_worker_and_its_runs_down() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls"))
    worker = asyncio.create_task(rig.worker.run())
    await rig.submit("hls")
    await rig.clock.settle()
    rig.store.broken = True
    await rig.clock.advance(LONGEST_NAP)
    stage.finish[0].set()
    await rig.clock.settle()
    with pytest.raises(ExceptionGroup) as caught:
        await worker
    assert caught.value.subgroup(StoreBroken)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_worker_that_is_cancelled_takes_its_runs_along() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls", 3))
    async with rig.working():
        for n in range(3):
            await rig.submit("hls", n)
        await rig.clock.settle()
        assert stage.running == {"hls": 3}
    await rig.clock.settle()
    assert stage.running == {} and asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_run_that_fails_leaves_its_neighbours_alone() -> None:
    stage = Stage()

    async def fails(ctx: JobContext, payload: Any) -> None:
        raise ExceptionGroup("several", [ValueError("a"), KeyError("b")])

    rig = Rig(stage.spec("hls"), spec("webp", fails, timeout=timedelta(seconds=1)))
    async with rig.working() as work:
        await rig.submit("hls")
        await rig.submit("webp")
        await rig.clock.advance(60)
        assert stage.running == {"hls": 1} and not work.done()
