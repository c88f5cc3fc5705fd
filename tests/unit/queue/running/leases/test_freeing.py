"""Freeing leases of the dead: of earlier boots, of other boxes, and what a death is charged to."""

import asyncio
from typing import Any

import pytest

from secondunit.queue import state
from secondunit.queue.instrumentation import RunReclaimed
from secondunit.queue.model import ENDED, Filter, Status
from secondunit.queue.running.leases import AT_ONCE, LOOK_EVERY, reclaim, take_over
from secondunit.testing.jobs import BOOT, TTL, by, claim, end, held, later, start, submit
from secondunit.testing.rig import Rig


async def test_a_new_boot_frees_all_leases_of_earlier_ones_at_once() -> None:
    rig, many = Rig(), 2 * AT_ONCE + 3
    await submit(rig.store, *(f"job{n}" for n in range(many)))
    assert len(await claim(rig.store, many, boot="earlier")) == many
    mine = await start(rig.store, "mine", type="webp")
    assert await reclaim(rig.store, rig.clock, BOOT, rig.facts.append) == many == len(rig.heard(RunReclaimed))
    assert (await rig.queue.counts()).queued == {"hls": many}
    assert (await rig.job("mine")).lease == mine
    assert await reclaim(rig.store, rig.clock, BOOT) == 0


async def test_a_job_that_ended_since_it_was_listed_is_not_freed() -> None:
    rig = Rig()
    await submit(rig.store, "a", "b")
    await claim(rig.store, 2, boot="earlier")
    plain = rig.store.expired

    async def listed(*arguments: Any) -> Any:
        leases = await plain(*arguments)
        await rig.change("a", state.expire, rig.clock.now())
        return leases

    rig.store.expired = listed  # type: ignore[assignment,method-assign]
    assert await reclaim(rig.store, rig.clock, BOOT) == 1
    assert [(await rig.job(job_id)).reclaims for job_id in "ab"] == [0, 1], "alone when the daemon died"


async def test_a_job_under_which_the_daemon_keeps_dying_is_poison() -> None:
    rig = Rig()
    await submit(rig.store, "a")
    for boot in ("one", "two", "three"):
        assert (await rig.job("a")).status is Status.QUEUED
        await rig.change("a", state.start, boot, TTL, rig.clock.now())
        await reclaim(rig.store, rig.clock, BOOT)
    job = await rig.job("a")
    assert job.error is not None
    assert (job.status, job.error.kind, job.error.type, job.attempt) == (Status.FAILED, "deterministic", "poison", 1)


@pytest.mark.parametrize(("dead", "charged"), [("a/1", 1), ("b/1", 0), ("1", 1)])
async def test_a_death_is_charged_to_a_job_where_it_is_known_to_be_one(dead: str, charged: int) -> None:
    rig = Rig()
    await submit(rig.store, "a")
    await claim(rig.store, 1, boot=dead)
    assert await reclaim(rig.store, rig.clock, "a/2") == 1
    assert (await rig.job("a")).reclaims == charged, "another box may be cut off; a boot without a box was moved here"


async def test_a_finished_step_between_two_deaths_clears_the_count() -> None:
    rig = Rig()
    await submit(rig.store, "a")
    for boot in ("one", "two", "three", "four"):
        job = await rig.change("a", state.start, boot, TTL, rig.clock.now())
        if boot == "three":
            await rig.store.steps.finish(held(job), "s", 1, by(state.step_done, later(0)), later(0))
        await reclaim(rig.store, rig.clock, BOOT)
    job = await rig.job("a")
    assert (job.status, job.reclaims) == (Status.QUEUED, 2)


async def test_a_job_that_was_to_be_cancelled_when_the_daemon_died_is_cancelled() -> None:
    rig = Rig()
    await submit(rig.store, "a")
    await claim(rig.store, 1, boot="earlier")
    await rig.change("a", state.cancel, rig.clock.now())
    await reclaim(rig.store, rig.clock, BOOT)
    assert (await rig.job("a")).status is Status.CANCELLED


async def test_ended_jobs_have_no_lease_to_free() -> None:
    rig = Rig()
    await end(rig.store, "a")
    await rig.clock.advance(3600)
    assert await reclaim(rig.store, rig.clock, BOOT) == 0
    assert (await rig.queue.find(Filter(statuses=ENDED))).total == 1


async def test_what_another_box_left_is_taken_over_as_soon_as_its_lease_is_over() -> None:
    rig = Rig()
    others = await start(rig.store, "others", boot="a/1")
    mine = await start(rig.store, "mine", boot="b/1")
    taking = asyncio.create_task(take_over(rig.store, rig.clock, "b/1", rig.facts.append))
    await rig.clock.settle()
    await rig.clock.advance((others.until - rig.clock.now()).total_seconds())
    assert rig.heard(RunReclaimed) == []
    for _ in range(2):
        await rig.clock.advance(LOOK_EVERY)
    assert [fact.job.id for fact in rig.heard(RunReclaimed)] == ["others"]
    assert (await rig.job("others")).status is Status.QUEUED
    assert (await rig.job("mine")).lease == mine, "ran out, too: that is for its own beats to judge"
    taking.cancel()


async def test_a_takeover_waits_for_room_on_the_disk() -> None:
    rig = Rig()
    await start(rig.store, "others", boot="a/1")
    taking = asyncio.create_task(take_over(rig.store, rig.clock, "b/1"))
    rig.store.full = True
    await rig.clock.advance(2 * TTL.total_seconds())
    assert not taking.done() and (await rig.job("others")).status is Status.RUNNING
    rig.store.full = False
    await rig.clock.advance(LOOK_EVERY)
    assert (await rig.job("others")).status is Status.QUEUED
    taking.cancel()
