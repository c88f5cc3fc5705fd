"""What a handler starts beside itself: it ends with the run, and an exit in it costs the run alone."""

import asyncio
import gc
import sys
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest

from secondunit.queue.handler import JobContext
from secondunit.queue.instrumentation import LeftBehind
from secondunit.queue.model import Job, Status
from secondunit.queue.outcome import HANDLER_BROKE
from secondunit.queue.running.scope import TO_STOP, task_factory
from secondunit.testing.rig import Rig, Run, spec


@pytest.fixture(autouse=True)
async def _as_the_daemons_loop() -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(task_factory)
    yield
    loop.set_task_factory(None)


async def ran(run: Run, rig: Rig | None = None) -> tuple[Rig, Job]:
    rig = rig or Rig(spec("hls", run))
    job_id = await rig.submit("hls")
    async with rig.working():
        return rig, await rig.job(job_id)


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


async def exits() -> None:
    await asyncio.sleep(0)
    sys.exit(5)


async def interrupts() -> None:
    raise KeyboardInterrupt


async def exits_when_stopped() -> None:
    try:
        await wait_for_ever()
    finally:
        sys.exit(5)


def begins(*works: Callable[[], Any], then: Callable[[], Any]) -> Run:
    async def run(ctx: JobContext, payload: Any) -> None:
        tasks = [asyncio.create_task(work()) for work in works]
        await then()
        del tasks

    return run


async def in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(exits())
        group.create_task(wait_for_ever())


async def awaited() -> None:
    await asyncio.create_task(exits())


async def gathered() -> None:
    await asyncio.gather(exits(), wait_for_ever())


async def a_task_of_a_task() -> None:
    await asyncio.create_task(awaited())


async def from_a_callback() -> None:
    asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(exits()))
    await wait_for_ever()


async def as_it_is_cancelled() -> None:
    task = asyncio.create_task(exits_when_stopped())
    await asyncio.sleep(0)
    task.cancel()
    await wait_for_ever()


@pytest.mark.parametrize(
    ("run", "cause"),
    [
        (begins(exits, then=wait_for_ever), "SystemExit: 5"),
        (begins(interrupts, then=wait_for_ever), "KeyboardInterrupt"),
        *((begins(then=work), "SystemExit: 5") for work in (
            in_a_group, awaited, gathered, a_task_of_a_task, from_a_callback, as_it_is_cancelled,
        )),
    ],
)  # fmt: skip
async def test_an_exit_in_a_task_of_a_handler_costs_its_run_and_nothing_else(run: Run, cause: str) -> None:
    rig, job = await ran(run)
    assert job.error is not None
    assert (job.status, job.error.kind, job.error.type) == (Status.FAILED, "deterministic", HANDLER_BROKE)
    assert cause in job.error.message
    assert [type(error) for error in rig.errors] in ([SystemExit], [KeyboardInterrupt])


async def test_a_task_that_a_handler_leaves_behind_is_stopped_with_its_run_and_told() -> None:
    left: list[asyncio.Task[None]] = []

    async def run(ctx: JobContext, payload: Any) -> int:
        left.append(asyncio.create_task(wait_for_ever()))
        return 1

    rig, job = await ran(run)
    assert (job.status, job.result) == (Status.COMPLETED, 1)
    assert left[0].cancelled()
    [fact] = rig.heard(LeftBehind)
    assert (fact.job.id, list(fact.tasks), list(fact.others)) == (job.id, ["wait_for_ever"], [])


async def test_a_task_that_a_handler_has_stopped_itself_is_waited_for_and_not_told_of() -> None:
    cleaned_up = asyncio.Event()

    async def slow() -> None:
        try:
            await wait_for_ever()
        finally:
            await cleaned_up.wait()

    async def run(ctx: JobContext, payload: Any) -> None:
        task = asyncio.create_task(slow())
        await asyncio.sleep(0)
        task.cancel()

    rig = Rig(spec("hls", run))
    job_id = await rig.submit("hls")
    async with rig.working():
        assert (await rig.job(job_id)).status is Status.RUNNING
        cleaned_up.set()
        await rig.clock.settle()
        assert (await rig.job(job_id)).status is Status.COMPLETED
    assert rig.heard(LeftBehind) == []


async def test_a_task_that_does_not_stop_is_waited_for_five_seconds_only() -> None:
    over = asyncio.Event()

    async def deaf() -> None:
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()

    rig = Rig(spec("hls", begins(deaf, then=lambda: asyncio.sleep(0))))
    job_id = await rig.submit("hls")
    try:
        async with rig.working():
            await rig.clock.advance(TO_STOP - 0.1)
            assert (await rig.job(job_id)).status is Status.RUNNING
            await rig.clock.advance(0.2)
            assert (await rig.job(job_id)).status is Status.COMPLETED
    finally:
        over.set()
    await rig.clock.settle()


async def test_what_is_started_in_a_run_that_is_over_never_begins() -> None:
    begun: list[str] = []

    async def late() -> None:
        begun.append("late")

    async def run(ctx: JobContext, payload: Any) -> None:
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        waiter.add_done_callback(lambda _: asyncio.ensure_future(late()))
        bells.append(waiter)

    bells: list[asyncio.Future[None]] = []
    rig, job = await ran(run)
    bells[0].set_result(None)
    await rig.clock.settle()
    assert job.status is Status.COMPLETED and begun == []


async def test_threads_and_programs_that_stay_are_told_with_the_job() -> None:
    alive = ["queue-writer"]

    async def run(ctx: JobContext, payload: Any) -> None:
        alive.append("thread 7")

    rig = Rig(spec("hls", run), alive=lambda: list(alive))
    rig, job = await ran(run, rig)
    [fact] = rig.heard(LeftBehind)
    assert (fact.job.id, list(fact.tasks), list(fact.others)) == (job.id, [], ["thread 7"])


async def test_a_task_that_never_began_is_cancelled_without_a_word() -> None:
    async def run(ctx: JobContext, payload: Any) -> None:
        asyncio.create_task(wait_for_ever()).cancel()

    rig, job = await ran(run)
    assert job.status is Status.COMPLETED and rig.heard(LeftBehind) == []


async def test_of_a_run_that_is_over_nothing_waits_for_the_garbage_collector() -> None:
    runs = []

    async def run(ctx: JobContext, payload: Any) -> None:
        runs.append(weakref.ref(asyncio.current_task()))

    gc.disable()
    try:
        _, job = await ran(run)
        assert job.status is Status.COMPLETED
        assert [task() for task in runs] == [None]
    finally:
        gc.enable()
