import asyncio
from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue.handler import JobContext
from secondunit.queue.model import Filter, Status
from secondunit.queue.outcome import JobError
from tests.unit.queue.running.execution.scene import DRAIN, One, wait_for_ever


@pytest.mark.parametrize(
    ("of_type", "of_job", "limit"), [(60, None, 60), (60, timedelta(seconds=10), 10), (5, timedelta(seconds=10), 10)]
)
async def test_an_attempt_that_takes_too_long_is_stopped(of_type: int, of_job: timedelta | None, limit: int) -> None:
    one = One(wait_for_ever, timeout=timedelta(seconds=of_type), stall=timedelta(days=1))
    execution, task = await one.running(timeout=of_job)
    await one.clock.advance(limit)
    assert not task.done()
    await one.clock.advance(1)
    await task
    job = await one.job(execution.job.id)
    assert job.error == JobError("timeout", "timeout", f"the attempt took longer than {limit} s")
    assert (job.status, job.attempt) == (Status.QUEUED, 2)


async def test_a_run_that_reports_no_progress_for_long_is_stopped() -> None:
    async def slows_down(ctx: JobContext, payload: Any) -> None:
        for second in range(30):
            await ctx.progress(second / 100)
            await one.clock.sleep(1)
        while True:
            await ctx.progress(0.3, "still here")
            await one.clock.sleep(1)

    one = One(slows_down, stall=timedelta(seconds=20))
    execution, task = await one.running()
    await one.clock.advance(49)
    assert not task.done()
    await one.clock.advance(3)
    await task
    job = await one.job(execution.job.id)
    assert job.error == JobError("timeout", "stalled", "no sign of life for 20 s")


async def test_a_run_that_beats_is_not_stopped_and_nobody_takes_it_for_a_stuck_one() -> None:
    async def lives(ctx: JobContext, payload: Any) -> None:
        while True:
            ctx.beat()
            await one.clock.sleep(1)

    one = One(lives, stall=timedelta(seconds=20))
    execution, task = await one.running()
    for _ in range(10):
        await one.clock.advance(15)
        assert one.clock.now() - (await one.job(execution.job.id)).updated_at < timedelta(seconds=20)
    assert not task.done()
    assert await one.names(execution.job.id) == ["queued", "started"], "nobody is told of a beat"
    execution.stop(DRAIN)
    await task


async def test_a_run_that_does_not_beat_does_not_look_alive() -> None:
    one = One(wait_for_ever, stall=timedelta(seconds=30))
    execution, task = await one.running()
    began = one.clock.now()
    await one.clock.advance(29)
    assert (await one.job(execution.job.id)).updated_at == began
    await one.clock.advance(3)
    await task


async def test_a_beat_for_which_the_disk_has_no_room_costs_the_run_nothing() -> None:
    async def lives(ctx: JobContext, payload: Any) -> None:
        while one.clock.monotonic() < 60:
            ctx.beat()
            await one.clock.sleep(1)

    one = One(lives, stall=timedelta(seconds=20))
    execution, task = await one.running()
    one.store.full = True
    await one.clock.advance(50)
    one.store.full = False
    await one.clock.advance(20)
    await task
    assert (await one.job(execution.job.id)).status is Status.COMPLETED


async def test_a_quiet_phase_has_its_own_limit() -> None:
    async def asks(ctx: JobContext, payload: Any) -> None:
        with ctx.quiet(timedelta(seconds=100), "Gemini thinks"):
            await asyncio.Event().wait()

    one = One(asks, stall=timedelta(seconds=20))
    execution, task = await one.running()
    await one.clock.advance(99)
    assert not task.done()
    assert one.clock.now() - (await one.job(execution.job.id)).updated_at < timedelta(seconds=20)
    await one.clock.advance(3)
    await task
    job = await one.job(execution.job.id)
    assert job.error == JobError("timeout", "stalled", "no sign of life for 100 s while Gemini thinks")


async def test_after_a_quiet_phase_the_stall_counts_from_its_end() -> None:
    async def asks(ctx: JobContext, payload: Any) -> None:
        with ctx.quiet(timedelta(seconds=100), "Gemini thinks"):
            await one.clock.sleep(60)
        await asyncio.Event().wait()

    one = One(asks, stall=timedelta(seconds=20))
    execution, task = await one.running()
    await one.clock.advance(79)
    assert not task.done()
    await one.clock.advance(3)
    await task
    error = (await one.job(execution.job.id)).error
    assert error and error.message == "no sign of life for 20 s"


async def test_a_quiet_phase_that_is_shorter_than_the_stall_shortens_nothing() -> None:
    async def asks(ctx: JobContext, payload: Any) -> None:
        with ctx.quiet(timedelta(seconds=5), "the geocoder is asked"):
            await one.clock.sleep(15)

    one = One(asks, stall=timedelta(seconds=20))
    execution, task = await one.running()
    await one.clock.advance(16)
    await task
    assert (await one.job(execution.job.id)).status is Status.COMPLETED


async def test_progress_that_waits_is_written_while_the_handler_is_busy() -> None:
    async def run(ctx: JobContext, payload: Any) -> None:
        await ctx.progress(0.1)
        await ctx.progress(0.2)
        await asyncio.Event().wait()

    one = One(run)
    execution, task = await one.running()
    assert (await one.job(execution.job.id)).progress == 0.1
    await one.clock.advance(1)
    assert (await one.job(execution.job.id)).progress == 0.2
    execution.stop(DRAIN)
    await task


@pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(hours=-1)])
async def test_a_clock_that_is_set_changes_no_duration(step: timedelta) -> None:
    async def run(ctx: JobContext, payload: Any) -> None:
        await one.clock.sleep(5)

    one = One(run)
    execution, task = await one.running()
    one.clock.set_wall(one.clock.now() + step)
    await one.clock.advance(5)
    await task
    job = await one.job(execution.job.id)
    [event] = [event for event in await one.store.events(0, Filter(), 10) if event.name == "completed"]
    assert job.duration == event.duration == job.worked == timedelta(seconds=5)
