"""The claim loop and the drain."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue import state
from secondunit.queue.errors import StoreBroken
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.model import JobId, Status, Submission
from secondunit.queue.running.worker import LONGEST_NAP
from secondunit.queue.value import replace
from secondunit.testing.jobs import BOOT, TTL, later
from secondunit.testing.rig import Rig, spec


class Stage:
    """Handlers that run until they are told to finish; knows what runs."""

    def __init__(self) -> None:
        self.order: list[int] = []
        self.types: Counter[str] = Counter()
        self.jobs: Counter[JobId] = Counter()
        self.finish: dict[int, asyncio.Event] = {}

    def spec(self, type: str, concurrency: int = 1, **fields: Any) -> HandlerSpec:
        async def run(ctx: JobContext, payload: Any) -> None:
            self.order.append(payload.n)
            self.types[type] += 1
            self.jobs[ctx.job_id] += 1
            try:
                await self.finish.setdefault(payload.n, asyncio.Event()).wait()
            finally:
                self.types[type] -= 1
                self.jobs[ctx.job_id] -= 1

        return spec(type, run, concurrency=concurrency, **fields)

    @property
    def running(self) -> dict[str, int]:
        return {type: count for type, count in self.types.items() if count}


async def test_each_type_runs_in_its_own_room() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls", 1), stage.spec("thumbnail", 3), most=10)
    async with rig.working():
        for n in range(5):
            await rig.submit("hls", n)
            await rig.submit("thumbnail", 10 + n)
        await rig.clock.settle()
        assert stage.running == {"hls": 1, "thumbnail": 3}


async def test_all_types_together_have_a_bound_too() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls", 3), stage.spec("thumbnail", 3), most=4)
    async with rig.working():
        for n in range(5):
            await rig.submit("hls", n)
            await rig.submit("thumbnail", 10 + n)
        await rig.clock.settle()
        assert sum(stage.running.values()) == len(rig.worker.leases()) == 4


async def test_jobs_start_by_priority_then_in_their_order() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls"))
    for n, priority in enumerate([3, 1, 4, 1, 0]):
        await rig.submit("hls", n, priority=priority)
    async with rig.working():
        for n in (4, 1, 3, 0, 2):
            stage.finish.setdefault(n, asyncio.Event()).set()
        await rig.clock.settle()
        assert stage.order == [4, 1, 3, 0, 2]


async def test_a_run_that_ends_makes_room_at_once() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls"), stage.spec("webp"))
    async with rig.working():
        for n in range(3):
            await rig.submit("hls", n)
        await rig.clock.settle()
        stage.finish[0].set()
        await rig.clock.settle()
        assert stage.order == [0, 1] and rig.clock.monotonic() == 0


async def test_a_new_job_starts_at_once() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls"))
    async with rig.working():
        await rig.clock.advance(LONGEST_NAP / 2)
        job_id = await rig.submit("hls")
        await rig.clock.settle()
        assert (await rig.job(job_id)).started_at == rig.clock.now() == later(LONGEST_NAP / 2)


@pytest.mark.parametrize("delay", [0.3, 3, 17.25])
async def test_a_delayed_job_starts_when_it_is_due(delay: float) -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls"))
    async with rig.working():
        job_id = await rig.submit("hls", run_at=later(delay))
        await rig.clock.advance(60)
        assert (await rig.job(job_id)).started_at == later(delay)


async def test_a_failed_attempt_is_tried_again_after_its_delay() -> None:
    starts: list[float] = []

    async def run(ctx: JobContext, payload: Any) -> None:
        starts.append(rig.clock.monotonic())
        raise ConnectionError

    rig = Rig(spec("hls", run))
    async with rig.working():
        await rig.submit("hls")
        await rig.clock.advance(60)
    assert starts == [0, 1, 3, 7]


async def test_jobs_of_other_types_wait_for_whoever_serves_them() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls"))
    await rig.store.add([state.submit(Submission("other", {}), "x", rig.clock.now())])
    async with rig.working():
        await rig.clock.advance(20)
    assert (await rig.job("x")).status is Status.QUEUED


async def test_an_idle_worker_does_not_spin() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls"))
    async with rig.working():
        for n in range(3):
            await rig.submit("hls", n)
            await rig.clock.settle()
            stage.finish.setdefault(n, asyncio.Event()).set()
            await rig.clock.settle()
        before = rig.store.claims
        for _ in range(20):
            await rig.clock.settle()
        assert rig.store.claims == before
        await rig.clock.advance(10 * LONGEST_NAP)
        assert rig.store.claims - before == 10


@pytest.mark.parametrize("held_back", ["by its room", "by the room of all", "by a pause"])
async def test_a_job_that_is_due_and_held_back_does_not_make_the_worker_spin(held_back: str) -> None:
    stage, turns = Stage(), 0
    rig = Rig(stage.spec("hls"), most=1 if held_back == "by the room of all" else 5)
    plain = rig.store.next_due

    async def counted(types: Any) -> Any:
        nonlocal turns
        turns += 1
        return await plain(types)

    rig.store.next_due = counted  # type: ignore[method-assign]
    async with rig.working():
        if held_back == "by a pause":
            await rig.queue.pause("hls")
        else:
            await rig.submit("hls", 0)
        job_id = await rig.submit("hls", 1, run_at=later(1))
        await rig.clock.advance(2)
        before, ticked = turns, rig.store.claims
        for _ in range(20):
            await rig.clock.settle()
        assert (turns, rig.store.claims) == (before, ticked)
        assert (await rig.job(job_id)).status is Status.QUEUED
        if held_back == "by a pause":
            await rig.queue.resume("hls")
        else:
            stage.finish[0].set()
        await rig.clock.settle()
        assert (await rig.job(job_id)).status is Status.RUNNING


async def test_on_a_full_disk_nothing_starts_until_there_is_room() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls"))
    async with rig.working() as work:
        rig.store.full = True
        job_id = await rig.submit("hls", run_at=later(1))
        await rig.clock.advance(4 * LONGEST_NAP)
        assert not work.done() and rig.store.refused <= 6, "it does not spin either"
        rig.store.full = False
        await rig.clock.advance(LONGEST_NAP)
        assert (await rig.job(job_id)).status is Status.RUNNING


async def test_the_worker_comes_round_though_nothing_happens() -> None:
    rig = Rig(Stage().spec("hls"))
    async with rig.working():
        await rig.clock.advance(100)
        assert rig.clock.monotonic() - rig.worker.ticked <= LONGEST_NAP


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


async def test_a_limit_of_a_type_counts_from_the_next_claim_on() -> None:
    stage = Stage()
    rig = Rig(stage.spec("hls"))
    async with rig.working():
        for n in range(4):
            await rig.submit("hls", n)
        await rig.clock.settle()
        assert stage.order == [0]
        await rig.queue.limit("hls", 3)
        await rig.clock.settle()
        assert stage.order == [0, 1, 2] and rig.worker.load().busy == {"hls": 3}
        await rig.queue.limit("hls", None)
        stage.finish[0].set()
        await rig.clock.settle()
        assert stage.order == [0, 1, 2], "the two that run are more than there may be"
        stage.finish[1].set()
        stage.finish[2].set()
        await rig.clock.settle()
        assert stage.order == [0, 1, 2, 3]
