"""Who gets which job, and what becomes of leases, on the store's own terms."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from secondunit.queue.errors import LeaseLost, StoreFull
from secondunit.queue.model import Bonds, Status
from secondunit.queue.outcome import Completed
from secondunit.queue.ports.holders import RemoteHolder
from secondunit.queue.ports.pages import PAGE_BYTES
from secondunit.queue.remote.explaining import explain_remote
from secondunit.queue.remote.leasing import LeaseMoved
from secondunit.queue.remote.moves import News
from secondunit.queue.running import leases
from secondunit.queue.sight.seen import Seen
from secondunit.testing.jobs import BOOT, TTL, end
from tests.unit.queue.remote.scene import WORKER, Remote


@pytest.fixture
async def rig() -> AsyncIterator[Remote]:
    rig = Remote()
    loops = [asyncio.create_task(loop) for loop in (rig.leasing.run(), rig.holding.run(), rig.keeper().run())]
    await rig.clock.settle()
    yield rig
    for loop in loops:
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop


async def test_what_was_claimed_for_a_caller_that_left_goes_back_at_no_cost(rig: Remote) -> None:
    waiting = asyncio.create_task(rig.take(wait=60))
    await rig.clock.settle()
    [waiter] = rig.leasing.room
    job_id = await rig.submit("ocr")
    while not waiter.given.done():
        await asyncio.sleep(0)
    waiting.cancel()  # between the claim and the answer
    with suppress(asyncio.CancelledError):
        await waiting
    job = await rig.job(job_id)
    assert (job.status, job.attempt, job.interruptions, job.lease) == (Status.QUEUED, 1, 1, None)
    assert await rig.take() == [job_id]


async def test_idle_workers_cost_nothing_until_something_comes(rig: Remote) -> None:
    waiting = [asyncio.create_task(rig.take(RemoteHolder("key", f"w{n}"), 60)) for n in range(50)]
    await rig.clock.settle()
    claims = rig.store.claims
    await rig.clock.advance(31)  # so that the lease outlasts the calls
    assert rig.store.claims == claims <= 1
    first = await rig.submit("ocr")
    await rig.clock.settle()
    assert [call.result() for call in waiting if call.done()] == [[first]]
    assert rig.store.claims <= claims + 2  # one for the job, one that found no more
    await rig.clock.advance(60)
    assert sum(map(len, [await call for call in waiting])) == 1


async def test_many_that_claim_together_get_no_more_than_the_limit(rig: Remote) -> None:
    [one, two, three, four, _] = [await rig.submit("ocr") for _ in range(5)]
    waiting = [asyncio.create_task(rig.take(RemoteHolder("key", f"w{n}"), 60)) for n in range(8)]
    await rig.clock.settle()
    assert [call.result() for call in waiting if call.done()] == [[one], [two], [three]]  # in their order
    await rig.holding.settle(one, 1, "call", lambda job: Completed(None))
    await rig.clock.settle()
    assert [call.result() for call in waiting if call.done()] == [[one], [two], [three], [four]]
    for call in waiting:
        call.cancel()


async def test_what_one_answer_does_not_hold_goes_to_who_waits_next(rig: Remote) -> None:
    await end(rig.store, "up", Completed("x" * (PAGE_BYTES * 3 // 4)))
    jobs = [await rig.submit("ocr", bonds=Bonds(["up"])) for _ in range(2)]
    asks = [rig.leasing.lease(RemoteHolder("key", name), ["ocr"], 100, 0) for name in ("w1", "w2", "w3")]
    got = [[one.job.id for one in granted] for granted in await asyncio.gather(*asks)]
    assert got == [jobs[:1], jobs[1:], []]


async def test_a_start_of_the_daemon_frees_no_remote_lease(rig: Remote) -> None:
    job_id = await rig.submit("ocr")
    await rig.take()
    assert await leases.reclaim(rig.store, rig.clock, "another boot") == 0
    assert (await rig.job(job_id)).status is Status.RUNNING
    assert (await rig.holding.renew(job_id, 1, News())).lease is not None


async def test_after_a_start_each_lease_has_its_whole_time(rig: Remote) -> None:
    job_id = await rig.submit("ocr")
    await rig.take()
    await rig.clock.advance(TTL.total_seconds() - 1)
    again = asyncio.create_task(rig.keeper().run())  # as a daemon that has just started
    await rig.clock.advance(TTL.total_seconds() - 1)
    assert (await rig.job(job_id)).status is Status.RUNNING
    await rig.clock.advance(2)
    job = await rig.job(job_id)
    assert (job.status, job.reclaims) == (Status.QUEUED, 0)  # the worker may have been down with the daemon
    again.cancel()


async def test_a_lease_that_ran_out_while_the_daemon_was_down_is_good_from_the_first_call_on() -> None:
    rig = Remote()
    job_id = await rig.submit("ocr")
    await rig.store.claim({"ocr": 1}, 1, WORKER.heard(BOOT), TTL, rig.clock.now())
    await rig.clock.leap(3 * TTL.total_seconds())
    await rig.keeper().start()
    job = await rig.holding.renew(job_id, 1, News(0.5))
    assert (job.progress, job.lease and job.lease.until) == (0.5, rig.clock.now() + TTL)


async def test_leases_that_could_not_be_renewed_on_a_full_disk_begin_anew(rig: Remote) -> None:
    job_id = await rig.submit("ocr")
    await rig.take()
    rig.store.full = True
    with pytest.raises(StoreFull):
        await rig.holding.renew(job_id, 1, News())
    await rig.clock.advance(3 * TTL.total_seconds())
    rig.store.full = False
    await rig.clock.advance(TTL.total_seconds() / 2)
    assert (await rig.holding.renew(job_id, 1, News(0.5))).progress == 0.5
    assert (await rig.job(job_id)).reclaims == 0


async def test_an_end_is_told_once_and_by_its_call(rig: Remote) -> None:
    job_id = await rig.submit("ocr")
    await rig.take()
    for _ in range(2):
        assert await rig.holding.settle(job_id, 1, "a", lambda _: Completed(1)) is Status.COMPLETED
    with pytest.raises(LeaseLost):
        await rig.holding.settle(job_id, 1, "b", lambda _: Completed(2))
    assert [fact.what for fact in rig.heard(LeaseMoved)] == ["given", "ended"]
    assert (await rig.job(job_id)).result == 1


async def test_a_job_that_is_gone_is_a_lost_lease(rig: Remote) -> None:
    for call in (
        rig.holding.renew("job_x", 1, News()),
        rig.holding.step("job_x", 1, "a", 1),
        rig.holding.settle("job_x", 1, "a", lambda _: Completed(1)),
    ):
        with pytest.raises(LeaseLost):
            await call


async def test_an_explanation_tells_who_has_the_job(rig: Remote) -> None:
    job_id = await rig.submit("ocr")
    seen = Seen(rig.clock.now(), await rig.leasing.load())
    told = explain_remote(await rig.job(job_id), seen, ())
    assert told.reason == "slot" and "none was seen" in told.sentence
    differs = explain_remote(await rig.job(job_id), seen, (), (["a"], ["b", "c"]))
    assert differs.sentence == (
        f"{told.sentence}; boxes declare ocr differently (a | b, c): give each the same [remote_types.ocr]"
    )
    await rig.take()
    assert "w1 has it" in explain_remote(await rig.job(job_id), seen, await rig.leasing.workers("ocr")).sentence


async def test_who_calls_first_after_a_standstill_has_its_lease_still(rig: Remote) -> None:
    job_id = await rig.submit("ocr")
    await rig.take()
    rig.clock._move(rig.clock._elapsed + 3 * TTL)  # nothing of the daemon ran meanwhile
    call = asyncio.create_task(rig.holding.renew(job_id, 1, News(0.5)))
    await rig.clock.settle()
    await rig.clock.advance(0)  # now the keeper of leases wakes
    job = await call
    assert job.progress == 0.5 and job.lease and job.lease.until == rig.clock.now() + TTL
