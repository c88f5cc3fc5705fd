"""Remote leases where several daemons share the queue: taken at one, renewed at another, and one of them dies."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue.errors import LeaseLost
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.hub import Hub
from secondunit.queue.model import Change, Counts, Job, JobId, Status
from secondunit.queue.outcome import Completed
from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.ports.cache import CacheEntry
from secondunit.queue.ports.holders import RemoteHolder, heard_by
from secondunit.queue.remote.holding import Holding
from secondunit.queue.remote.keeping import LeaseKeeper
from secondunit.queue.remote.leasing import Leasing
from secondunit.queue.remote.moves import News
from secondunit.queue.remote.sightings import LOOK_EVERY
from secondunit.queue.value import replace
from secondunit.testing.jobs import TTL
from secondunit.testing.rig import Numbered, Rig, SteadyRandom

WORKER = RemoteHolder("key", "w1")
LEASE = TTL.total_seconds()


async def _never(*_: Any) -> None:
    raise AssertionError("its jobs are leased")


SPEC = HandlerSpec("ocr", Numbered, _never, concurrency=3, timeout=timedelta(minutes=5), remote=True)


class Box:
    """What one daemon has of the shared queue."""

    def __init__(self, rig: Rig, boot: str) -> None:
        rng, hub = SteadyRandom(), Hub()
        rig.store.listen(hub.publish)
        self.leasing = Leasing(rig.store, rig.registry, hub, rig.clock, rng, TTL, boot=boot)
        self.holding = Holding(self.leasing, rig.store, hub, rig.clock, rng)
        self.keeper = LeaseKeeper(self.leasing, rig.store, rig.clock, rng)
        self.loops: list[asyncio.Task[None]] = []

    async def start(self) -> "Box":
        """As a daemon does."""
        await self.keeper.start()
        running: list[Coroutine[Any, Any, None]] = [self.leasing.run(), self.holding.run(), self.keeper.run()]
        self.loops = [asyncio.create_task(loop) for loop in running]
        return self

    async def die(self) -> None:
        """As one that is killed."""
        for loop in self.loops:
            loop.cancel()
            with suppress(asyncio.CancelledError):
                await loop

    async def take(self, wait: float = 0) -> list[JobId]:
        return [one.job.id for one in await self.leasing.lease(WORKER, ["ocr"], 1, wait)]


class Boxes(Rig):
    """A rig of two daemons, a and b."""

    def __init__(self) -> None:
        super().__init__(SPEC)
        self.a, self.b = Box(self, "a/1"), Box(self, "b/1")

    async def taken(self) -> JobId:
        """A job that was leased at a."""
        job_id = await self.submit("ocr")
        assert await self.a.take() == [job_id]
        return job_id


@pytest.fixture
async def rig() -> AsyncIterator[Boxes]:
    rig = Boxes()
    await rig.a.start()
    await rig.b.start()
    await rig.clock.settle()
    yield rig
    await rig.a.die()
    await rig.b.die()


async def test_a_lease_of_one_daemon_is_renewed_and_ended_at_another(rig: Boxes) -> None:
    job_id = await rig.taken()
    await rig.clock.advance(LEASE * 2 / 3)
    job = await rig.b.holding.renew(job_id, 1, News(0.5))
    assert job.lease and heard_by(job.lease.boot) == "b/1"
    await rig.clock.advance(LEASE * 2 / 3)
    await rig.a.holding.step(job_id, 1, "page", 7)
    for box in (rig.b, rig.a):
        assert await box.holding.settle(job_id, 1, "done", lambda _: Completed(1)) is Status.COMPLETED
        with pytest.raises(LeaseLost):
            await box.holding.settle(job_id, 1, "otherwise", lambda _: Completed(2))


async def test_a_write_is_not_refused_for_a_renewal_at_another_daemon_meanwhile(rig: Boxes) -> None:
    job_id = await rig.taken()
    finished = rig.store.steps.finish

    async def renewed_first(*given: Any, **named: Any) -> Job:
        rig.store.steps.finish = finished  # type: ignore[method-assign]
        await rig.b.holding.renew(job_id, 1, News())
        return await finished(*given, **named)

    rig.store.steps.finish = renewed_first  # type: ignore[method-assign]
    await rig.a.holding.step(job_id, 1, "a", 7)
    assert [step.result for step in await rig.store.steps.of_job(job_id)] == [7]


async def test_who_renewed_it_last_judges_its_loss(rig: Boxes) -> None:
    job_id = await rig.taken()
    await rig.b.holding.renew(job_id, 1, News())
    await rig.a.die()
    await rig.clock.advance(LEASE + 1)
    job = await rig.job(job_id)
    assert (job.status, job.reclaims) == (Status.QUEUED, 1), "b is there, so its worker has fallen silent"


async def test_leases_of_a_daemon_that_died_are_freed_soon_and_held_against_nobody(rig: Boxes) -> None:
    job_id = await rig.taken()
    await rig.a.die()
    await rig.clock.advance(LEASE - 0.1)
    assert (await rig.job(job_id)).status is Status.RUNNING
    await rig.clock.advance(1)
    job = await rig.job(job_id)
    assert (job.status, job.reclaims, job.runs[-1].outcome) == (Status.QUEUED, 0, "lost")


async def test_a_daemon_has_its_time_to_free_its_own_leases(rig: Boxes) -> None:
    job_id = await rig.taken()
    await rig.a.die()
    await rig.clock.advance(LEASE + 0.4)
    assert (await rig.job(job_id)).status is Status.RUNNING, "a may be about to judge it"
    await rig.clock.advance(0.4)
    assert (await rig.job(job_id)).status is Status.QUEUED


async def test_a_daemon_that_starts_again_gives_its_own_leases_their_whole_time_and_no_others(rig: Boxes) -> None:
    one, other = await rig.submit("ocr"), await rig.submit("ocr")
    assert await rig.a.take() == [one] and await rig.b.take() == [other]
    await rig.clock.advance(LEASE / 2)
    await rig.a.die()
    rig.a = await Box(rig, "a/2").start()
    await rig.clock.advance(LEASE / 2 + 1)
    assert (await rig.job(one)).status is Status.RUNNING
    assert (await rig.job(other)).status is Status.QUEUED, "its worker could call b all the time"
    await rig.clock.advance(LEASE / 2)
    job = await rig.job(one)
    assert (job.status, job.reclaims) == (Status.QUEUED, 0), "as it may have been down with the daemon"


async def test_a_daemon_that_stood_still_gives_others_leases_no_more_time(rig: Boxes) -> None:
    job_id = await rig.taken()
    await rig.a.die()
    await rig.b.die()
    await rig.clock.leap(LEASE - 1)
    await rig.b.start()
    await rig.clock.advance(2)
    assert (await rig.job(job_id)).status is Status.QUEUED


async def test_a_pause_that_ends_elsewhere_is_noticed_in_seconds(rig: Boxes) -> None:
    await rig.store.pause("ocr", paused=True)
    job_id = await rig.submit("ocr")
    waiting = asyncio.create_task(rig.b.take(60))
    await rig.clock.advance(1)
    assert not waiting.done()
    await rig.store.pause("ocr", paused=False)  # nobody tells b of it
    await rig.clock.advance(5)
    assert await waiting == [job_id]


async def test_a_move_of_anothers_job_is_refused_under_the_old_epoch(rig: Boxes) -> None:
    job_id = await rig.taken()
    await rig.a.die()
    await rig.clock.advance(LEASE + 1)
    assert await rig.b.take() == [job_id]
    await rig.a.start()
    with pytest.raises(LeaseLost):
        await rig.a.holding.renew(job_id, 1, News())
    with pytest.raises(LeaseLost):
        await rig.a.holding.settle(job_id, 1, "done", lambda _: Completed("stale"))

    def unchanged(job: Job) -> Change:
        return Change(job)

    assert (await rig.store.change(job_id, unchanged)).epoch == 2


def box(name: str, rig: Rig) -> BoxRow:
    """A box as it enters the queue's registry."""
    return BoxRow(name, f"{name}/1", "", "1", {}, 1, TTL, rig.clock.now())


async def test_workers_are_told_of_wherever_they_were_seen(rig: Boxes) -> None:
    for name in "ab":
        await rig.store.boxes.enter(box(name, rig))
    telling = asyncio.create_task(rig.a.leasing.sightings.run())
    waiting = asyncio.create_task(rig.a.take(wait=60))
    await rig.clock.advance(LOOK_EVERY)
    [seen] = await rig.b.leasing.workers("ocr")
    assert (seen.holder, seen.waiting) == (WORKER, True)
    assert await rig.b.leasing.workers("asr") == ()
    await rig.clock.advance(40)
    assert (await rig.b.leasing.workers("ocr"))[0].waiting, "it waits still, and is told again now and then"
    telling.cancel()
    waiting.cancel()
    await rig.a.die()
    await rig.clock.advance(31)
    [seen] = await rig.b.leasing.workers("ocr")
    assert not seen.waiting, "a daemon that tells nothing more is gone, and its calls with it"
    told = await rig.b.take()
    assert told == []
    [seen] = await rig.b.leasing.workers("ocr")
    assert seen.seen_at == rig.clock.now(), "the same worker, seen at both"
    await rig.clock.advance(timedelta(hours=25).total_seconds())
    assert await rig.b.leasing.workers("ocr") == []


async def test_what_is_seen_is_written_when_it_changes_and_no_more_often(rig: Boxes) -> None:
    await rig.store.boxes.enter(box("a", rig))
    puts: list[CacheEntry] = []
    put = rig.store.cache.put

    async def counted(entry: CacheEntry) -> None:
        puts.append(entry)
        await put(entry)

    rig.store.cache.put = counted  # type: ignore[method-assign]
    telling = asyncio.create_task(rig.a.leasing.sightings.run())
    await rig.clock.advance(60)
    assert puts == [], "nobody was seen"
    await rig.a.take()
    await rig.clock.advance(60)
    assert len(puts) == 1
    telling.cancel()


async def test_a_type_has_its_limit_over_all_daemons_however_many_lease_at_once(rig: Boxes) -> None:
    for _ in range(6):
        await rig.submit("ocr")
    counts = rig.store.counts

    async def counted_before() -> Counts:
        return replace(await counts(), running={})  # as both did before either had leased

    rig.store.counts = counted_before  # type: ignore[method-assign]
    leased = [await box.leasing.lease(WORKER, ["ocr"], 5, 0) for box in (rig.a, rig.b)]
    assert [len(granted) for granted in leased] == [3, 0]
