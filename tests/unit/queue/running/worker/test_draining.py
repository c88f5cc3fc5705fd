"""The drain: nothing more starts, what runs gets its time, and then goes back."""

import asyncio

import pytest

from secondunit.queue.model import Status
from secondunit.testing.rig import Rig
from tests.unit.queue.running.worker.scene import Stage


async def test_a_drain_starts_nothing_more_and_waits_for_what_runs() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls", 2))
    async with rig.working() as work:
        for n in range(2):
            await rig.submit("hls", n)
        await rig.clock.settle()
        drain = asyncio.create_task(rig.worker.drain(30))
        await rig.clock.settle()
        waiting = await rig.submit("hls", 2)
        stage.finish[0].set()
        await rig.clock.advance(20)
        assert not drain.done() and stage.order == [0, 1]
        stage.finish[1].set()
        await rig.clock.settle()
        await drain
        await work
        assert (await rig.job(waiting)).status is Status.QUEUED
        assert rig.clock.sleepers == 0


async def test_an_idle_worker_drains_at_once() -> None:
    rig = Rig(Stage().spec("hls"))
    async with rig.working() as work:
        await rig.worker.drain(30)
        await work
        await rig.worker.drain(30)
    assert rig.clock.monotonic() == 0


async def test_what_outlasts_the_grace_is_told_and_then_released_at_no_cost() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls"))
    async with rig.working() as work:
        job_id = await rig.submit("hls")
        await rig.clock.settle()
        drain = asyncio.create_task(rig.worker.drain(30))
        await rig.clock.advance(30)
        with pytest.raises(TimeoutError):
            await drain
        assert stage.running == {"hls": 1}
        rig.worker.stop_all("the daemon shuts down")
        await rig.worker.drain(5)
        await work
        job = await rig.job(job_id)
        assert (job.status, job.attempt, job.reclaims, job.interruptions) == (Status.QUEUED, 1, 0, 1)
        assert job.message == "the daemon shuts down"
        assert stage.running == {} and rig.worker.leases() == []


async def test_stopping_at_once_needs_no_time() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls", 3))
    async with rig.working() as work:
        for n in range(3):
            await rig.submit("hls", n)
        await rig.clock.settle()
        drain = asyncio.create_task(rig.worker.drain(300))
        await rig.clock.settle()
        rig.worker.stop_all("now")
        await drain
        await work
        assert rig.clock.monotonic() == 0 and stage.running == {}


async def test_a_claim_that_comes_back_after_the_stop_is_given_back() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls"))
    rig.store.arrive.clear()
    job_id = await rig.submit("hls")
    async with rig.working() as work:
        await rig.store.on_the_way.wait()
        rig.worker.stop_all("now")
        rig.store.arrive.set()
        await rig.clock.settle()
        await work
    assert (await rig.job(job_id)).status is Status.QUEUED and stage.order == []


async def test_nothing_is_claimed_once_the_drain_began() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls"))
    asked, go = asyncio.Event(), asyncio.Event()

    async def paused() -> frozenset[str]:
        asked.set()
        await go.wait()
        return frozenset()

    rig.store.paused = paused  # type: ignore[method-assign]
    await rig.submit("hls")
    async with rig.working() as work:
        await asked.wait()
        drain = asyncio.create_task(rig.worker.drain(30))
        await rig.clock.settle()
        go.set()
        await drain
        await work
    assert rig.store.claims == 0
