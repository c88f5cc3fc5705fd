"""A run that lost its lease writes nothing; one that finds the disk full waits."""

import asyncio
from typing import Any

import pytest

from secondunit.queue import state
from secondunit.queue.errors import StoreBroken
from secondunit.queue.handler import JobContext
from secondunit.queue.model import Status
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.queue.running.context import FULL_DISK_PAUSE
from secondunit.testing.jobs import listened
from secondunit.testing.rig import Run
from tests.unit.queue.running.execution.scene import One, raising, returning, wait_for_ever


async def test_a_lost_lease_stops_the_run_which_then_writes_nothing() -> None:
    one = One(wait_for_ever)
    execution, task = await one.running()
    await one.change(execution.job.id, state.recover, one.clock.now())
    before, heard = await one.job(execution.job.id), listened(one.store)
    execution.lose()
    await task
    assert (await one.job(execution.job.id), heard) == (before, [])
    assert one.folders.closed == [(execution.job.id, 1, False)]


async def test_a_lost_lease_does_not_settle_even_where_the_fence_would_let_it() -> None:
    one = One(wait_for_ever)
    execution, task = await one.running()
    execution.lose()
    await task
    assert (await one.job(execution.job.id)).status is Status.RUNNING


@pytest.mark.parametrize("run", [returning("late"), raising(Deterministic("late")), raising(Transient("late"))])
async def test_a_run_that_ends_after_its_lease_was_taken_changes_nothing(run: Run) -> None:
    one = One(run)
    execution = await one.begin()
    await one.change(execution.job.id, state.recover, one.clock.now())
    before = await one.job(execution.job.id)
    assert await one.ended(execution) == before
    assert one.folders.closed == [(before.id, 1, False)]


async def test_progress_under_a_lost_lease_ends_the_run() -> None:
    async def run(ctx: JobContext, payload: Any) -> None:
        await ctx.progress(0.1)
        await ctx.progress(0.2)  # waits to be written, by the watch
        await asyncio.Event().wait()

    one = One(run)
    execution, task = await one.running()
    await one.change(execution.job.id, state.recover, one.clock.now())
    assert not task.done()
    before = await one.job(execution.job.id)
    await one.clock.advance(1)
    await task
    assert await one.job(execution.job.id) == before and before.progress < 0.2
    assert one.folders.closed == [(before.id, 1, False)]


async def test_a_full_disk_delays_the_end_until_there_is_room() -> None:
    one = One(returning("result"))
    execution = await one.begin()
    one.store.full = True
    task = asyncio.create_task(execution.run())
    await one.clock.advance(10 * FULL_DISK_PAUSE)
    assert not task.done() and one.store.refused >= 10
    one.store.full = False
    await one.clock.advance(FULL_DISK_PAUSE)
    await task
    assert (await one.job(execution.job.id)).result == "result"


@pytest.mark.parametrize("when", ["settling", "watching", "working"])
async def test_a_broken_store_ends_the_run_with_its_error_and_leaves_no_task(when: str) -> None:
    async def run(ctx: JobContext, payload: Any) -> None:
        await ctx.progress(0.1)
        one.store.broken = True
        if when == "working":
            await ctx.stats(n=1)
        elif when == "watching":
            await ctx.progress(0.2)  # waits to be written
            await asyncio.Event().wait()

    one = One(run)
    _, task = await one.running()
    await one.clock.advance(1)
    with pytest.raises(StoreBroken):
        await task
    await one.clock.settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}
