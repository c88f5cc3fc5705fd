"""One job: cancelled, retried, waited for."""

import asyncio
from typing import Any

import pytest

from secondunit.queue.errors import (
    JobNotFound,
    NotAllowed,
)
from secondunit.queue.handler import JobContext
from secondunit.queue.model import Status
from secondunit.testing.jobs import end
from secondunit.testing.rig import Rig, spec
from tests.unit.queue.service.scene import asked, hls


async def test_a_queued_job_is_cancelled_at_once() -> None:
    rig = Rig(hls())
    job_id = await rig.submit("hls")
    assert (await rig.queue.cancel(job_id)).status is Status.CANCELLED
    assert await rig.names(job_id) == ["queued", "cancelled"]


async def test_cancelling_a_running_job_returns_once_its_run_is_gone() -> None:
    stopping, gone = asyncio.Event(), asyncio.Event()

    async def slow_to_stop(ctx: JobContext, payload: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopping.set()
            await gone.wait()

    rig = Rig(spec("hls", slow_to_stop))
    async with rig.working():
        job_id = await rig.submit("hls")
        await rig.clock.settle()
        cancelling = asyncio.create_task(rig.queue.cancel(job_id))
        await stopping.wait()
        await rig.clock.settle()
        assert not cancelling.done() and (await rig.job(job_id)).status is Status.RUNNING
        gone.set()
        assert (await cancelling).status is Status.CANCELLED


async def test_a_job_that_finishes_first_can_no_longer_be_cancelled() -> None:
    async def finishes(ctx: JobContext, payload: Any) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done all the same"
        return "never"

    rig = Rig(spec("hls", finishes))
    async with rig.working():
        job_id = await rig.submit("hls")
        await rig.clock.settle()
        with pytest.raises(NotAllowed, match="completed"):
            await rig.queue.cancel(job_id)
        assert (await rig.job(job_id)).result == "done all the same"


async def test_ended_shared_and_unknown_jobs_are_not_cancelled() -> None:
    rig = Rig(hls())
    ended = await end(rig.store, "ended")
    shared, _ = await rig.queue.submit(asked(dedupe_key="same"))
    await rig.queue.submit(asked(dedupe_key="same"))
    for job_id in (ended.id, shared.id):
        with pytest.raises(NotAllowed):
            await rig.queue.cancel(job_id)
    with pytest.raises(JobNotFound):
        await rig.queue.cancel("nobody")
    assert (await rig.job(shared.id)).status is Status.QUEUED
    assert rig.hub._by_job == {}


async def test_an_ended_job_can_be_retried_and_runs_again() -> None:
    async def done(ctx: JobContext, payload: Any) -> int:
        return ctx.epoch

    rig = Rig(spec("hls", done))
    async with rig.working():
        job_id = await rig.submit("hls")
        await rig.queue.wait(job_id)
        assert (await rig.queue.retry(job_id)).status is Status.QUEUED
        assert (await rig.queue.wait(job_id)).result == 2


async def test_a_live_job_is_not_retried() -> None:
    rig = Rig(hls())
    job_id = await rig.submit("hls")
    with pytest.raises(NotAllowed):
        await rig.queue.retry(job_id)


async def test_waiting_ends_with_the_job_not_with_an_attempt() -> None:
    attempts: list[int] = []

    async def third_time(ctx: JobContext, payload: Any) -> str:
        attempts.append(ctx.attempt)
        if ctx.attempt < 3:
            raise ConnectionError
        return "ok"

    rig = Rig(spec("hls", third_time))
    async with rig.working():
        job_id = await rig.submit("hls")
        waiting = asyncio.create_task(rig.queue.wait(job_id))
        await rig.clock.advance(1)
        assert not waiting.done()
        await rig.clock.advance(10)
        assert (await waiting).result == "ok" and attempts == [1, 2, 3]
    assert (await rig.queue.wait(job_id)).result == "ok", "an ended job is not waited for"
    with pytest.raises(JobNotFound):
        await rig.queue.wait("nobody")
