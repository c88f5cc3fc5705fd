import asyncio
from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue import state
from secondunit.queue.handler import JobContext
from secondunit.queue.model import Status
from secondunit.queue.outcome import Deterministic, Released
from secondunit.queue.running.execution import INSIST_EVERY
from tests.unit.queue.running.execution.scene import DRAIN, One, wait_for_ever


async def test_a_released_job_goes_back_as_it_was() -> None:
    one = One(wait_for_ever)
    execution, task = await one.running()
    execution.stop(DRAIN)
    await task
    job = await one.job(execution.job.id)
    assert (job.status, job.attempt, job.reclaims, job.interruptions) == (Status.QUEUED, 1, 0, 1)
    assert one.folders.closed == [(job.id, 1, False)] and one.errors == []


async def test_a_job_that_is_to_be_cancelled_is_cancelled_however_its_run_was_stopped() -> None:
    one = One(wait_for_ever)
    execution, task = await one.running()
    await one.change(execution.job.id, state.cancel, one.clock.now())
    execution.stop(DRAIN)
    await task
    assert (await one.job(execution.job.id)).status is Status.CANCELLED
    assert one.folders.closed == [(execution.job.id, 1, True)]


async def test_the_first_reason_to_stop_counts() -> None:
    one = One(wait_for_ever, timeout=timedelta(seconds=1))
    execution, task = await one.running()
    execution.stop(DRAIN)
    execution.stop(Released("another"))
    await task
    assert (await one.job(execution.job.id)).message == "drain"


async def test_a_run_that_is_stopped_before_it_began_never_begins() -> None:
    began: list[str] = []

    async def run(ctx: JobContext, payload: Any) -> None:
        began.append(ctx.job_id)

    one = One(run)
    execution = await one.begin()
    execution.stop(DRAIN)
    assert (await one.ended(execution)).status is Status.QUEUED
    assert began == []


async def test_finished_work_is_kept_though_it_was_to_be_stopped() -> None:
    async def finishes(ctx: JobContext, payload: Any) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done all the same"
        return "never"

    one = One(finishes)
    execution, task = await one.running()
    execution.stop(DRAIN)
    await task
    job = await one.job(execution.job.id)
    assert (job.status, job.result) == (Status.COMPLETED, "done all the same")


async def test_an_error_made_of_a_cancellation_is_no_failed_attempt() -> None:
    async def run(ctx: JobContext, payload: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise Deterministic("the program was killed") from None

    one = One(run)
    execution, task = await one.running()
    execution.stop(DRAIN)
    await task
    job = await one.job(execution.job.id)
    assert (job.status, job.attempt, job.error) == (Status.QUEUED, 1, None)


async def test_a_handler_that_goes_on_after_being_stopped_is_stopped_again() -> None:
    swallowed: list[float] = []

    async def stubborn(ctx: JobContext, payload: Any) -> None:
        while len(swallowed) < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed.append(one.clock.monotonic())
        raise asyncio.CancelledError

    one = One(stubborn)
    execution, task = await one.running()
    execution.stop(DRAIN)
    await one.clock.advance(INSIST_EVERY - 1)
    assert len(swallowed) == 1, "what cleans up is left the time to do it"
    await one.clock.advance(2)
    assert task.done()
    assert (await one.job(execution.job.id)).status is Status.QUEUED


async def test_an_execution_that_is_cancelled_takes_its_handler_along() -> None:
    cleaned: list[bool] = []

    async def run(ctx: JobContext, payload: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    one = One(run)
    execution, task = await one.running()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await one.clock.settle()
    assert cleaned == [True] and execution.gone.is_set()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert (await one.job(execution.job.id)).status is Status.RUNNING, "the next boot finds it"
