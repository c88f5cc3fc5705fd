"""One run under one lease, from its start to its outcome."""

import asyncio
import errno
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from secondunit.queue import state
from secondunit.queue.errors import StoreBroken, TypeUnavailable
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.model import Filter, Job, Status
from secondunit.queue.outcome import Deterministic, JobError, Partial, Postponed, Released, Transient
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.running.context import FULL_DISK_PAUSE
from secondunit.queue.running.execution import INSIST_EVERY, UNAVAILABLE_PAUSE, Execution
from secondunit.testing.jobs import claim, held, later, listened
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


async def test_what_a_handler_returns_is_the_jobs_result() -> None:
    async def run(ctx: JobContext, payload: Any) -> Any:
        return {"n": payload.n, "at": ctx.workspace.run.name}

    one = One(run)
    job = await one.ended(await one.begin(n=3))
    assert (job.status, job.result, job.progress, job.lease) == (Status.COMPLETED, {"n": 3, "at": "run-1"}, 1.0, None)
    assert one.folders.opened == [(job.id, 1)] and one.folders.closed == [(job.id, 1, True)]


async def test_a_partial_result_is_kept_with_what_is_missing() -> None:
    one = One(returning(Partial({"n": 1}, ("x", "y"))))
    job = await one.ended(await one.begin())
    assert (job.status, job.result, job.missing) == (Status.PARTIAL, {"n": 1}, ["x", "y"])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Deterministic("no such file", type="missing"), JobError("deterministic", "missing", "no such file")),
        (
            ExceptionGroup("both", [Transient("x"), Deterministic("bad\0", type="bad")]),
            JobError("deterministic", "bad", "bad"),
        ),
    ],
)
async def test_what_can_not_be_helped_fails_the_job(error: Exception, expected: JobError) -> None:
    one = One(raising(error))
    job = await one.ended(await one.begin())
    assert (job.status, job.error, job.attempt) == (Status.FAILED, expected, 1)
    assert one.errors == [error] and one.folders.closed == [(job.id, 1, True)]


@pytest.mark.parametrize(
    ("error", "kind", "type"),
    [
        (Transient("429", type="quota"), "transient", "quota"),
        (TimeoutError(), "timeout", "timeout"),
        (OSError(errno.ENOSPC, "full"), "transient", "disk_full"),
        (ValueError("a bug"), "transient", "unexpected"),
        (
            ExceptionGroup("both", [Transient("429", type="quota"), Postponed("q", delay=timedelta(1))]),
            "transient",
            "quota",
        ),
    ],
)
async def test_what_may_pass_is_tried_again(error: Exception, kind: str, type: str) -> None:
    one = One(raising(error))
    job = await one.ended(await one.begin())
    assert job.error is not None
    assert (job.status, job.attempt, job.run_at) == (Status.QUEUED, 2, later(1))
    assert (job.error.kind, job.error.type) == (kind, type)
    assert one.folders.closed == [(job.id, 1, False)]


async def test_a_job_fails_once_its_attempts_are_used_up() -> None:
    one = One(raising(Transient("429")), retry=RetryPolicy(0))
    assert (await one.ended(await one.begin())).status is Status.FAILED


async def test_a_postponed_job_waits_at_no_cost() -> None:
    one = One(raising(Postponed("the quota\0 is used up", delay=timedelta(hours=2))))
    job = await one.ended(await one.begin())
    assert (job.status, job.attempt, job.interruptions, job.run_at) == (Status.QUEUED, 1, 1, later(7200))
    assert job.message == "the quota is used up"


async def test_a_type_that_lost_what_it_needs_waits_instead_of_failing() -> None:
    def check(payload: Any) -> None:
        if broken:
            raise TypeUnavailable("hls", "install ffmpeg")

    broken = False
    one = One(returning(None), check=check)
    execution = await one.begin()
    broken = True
    job = await one.ended(execution)
    assert (job.status, job.attempt, job.run_at) == (Status.QUEUED, 1, one.clock.now() + UNAVAILABLE_PAUSE)
    assert "install ffmpeg" in (job.message or "")


async def test_a_payload_that_no_longer_fits_its_type_fails_the_job() -> None:
    class Newer(BaseModel):
        m: int

    one = One(returning(None))
    execution = await one.begin(n=1)
    execution._spec = spec("hls", returning(None), payload=Newer)
    job = await one.ended(execution)
    assert job.error is not None
    assert (job.status, job.error.kind, job.error.type) == (Status.FAILED, "deterministic", "bad_payload")


@pytest.mark.parametrize(
    "value", [{1, 2}, object(), float("inf"), Partial({1}, []), Partial({}, [{1}]), Partial({}, [b""])]
)
async def test_a_result_that_is_not_json_fails_the_job(value: Any) -> None:
    one = One(returning(value))
    job = await one.ended(await one.begin())
    assert job.error is not None
    assert (job.status, job.error.type) == (Status.FAILED, "not_json")


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


async def test_a_folder_that_can_not_be_made_fails_the_attempt_not_the_daemon() -> None:
    one = One(returning(None))
    one.folders.refusal = OSError(errno.ENOSPC, "no space left")
    job = await one.ended(await one.begin())
    assert job.error is not None
    assert (job.status, job.attempt, job.error.type) == (Status.QUEUED, 2, "disk_full")
    assert one.errors == [one.folders.refusal]


async def test_folders_that_fail_in_a_way_nobody_foresaw_fail_the_attempt_not_the_daemon() -> None:
    one = One(returning(None))
    one.folders.refusal = RuntimeError("no such luck")
    job = await one.ended(await one.begin())
    assert job.error is not None
    assert (job.status, job.attempt, job.error.message) == (Status.QUEUED, 2, "RuntimeError: no such luck")
    assert one.errors == [one.folders.refusal]


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
