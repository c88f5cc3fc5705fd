"""The claim loop: what starts when, and that an idle worker rests."""

import asyncio
from typing import Any

import pytest

from secondunit.queue import state
from secondunit.queue.handler import JobContext
from secondunit.queue.model import Status, Submission
from secondunit.queue.running.worker import LONGEST_NAP
from secondunit.testing.jobs import later
from secondunit.testing.rig import Rig, spec
from tests.unit.queue.running.worker.scene import Stage


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
