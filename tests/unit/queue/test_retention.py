"""Forgetting, and aging."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue.errors import JobNotFound, StoreBroken
from secondunit.queue.model import JobId, Status
from secondunit.queue.outcome import Completed
from secondunit.queue.retention import AGE_EVERY, AGE_STEP, EVERY, SLICE, age, forget
from secondunit.testing.jobs import ALL, BROKEN, CALLBACK, end, later, settled, start, submit
from secondunit.testing.rig import Rig

DAY, MONTH = timedelta(hours=24), timedelta(hours=720)


class Tidied(Rig):
    """A store that is tidied; `dropped` holds what was handed on, a slice each."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped: list[Sequence[JobId]] = []

    def forgetting(self) -> Coroutine[Any, Any, None]:
        return forget(self.store, self.clock, DAY, MONTH, self._drop)

    async def _drop(self, ids: Sequence[JobId]) -> None:
        self.dropped.append(ids)

    async def total(self) -> int:
        return (await self.queue.find(ALL, None, 1)).total


@asynccontextmanager
async def going(loop: Coroutine[Any, Any, None], rig: Rig) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(loop)
    await rig.clock.settle()
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, StoreBroken):
            await task


async def test_ended_jobs_are_forgotten_after_their_time_and_failed_ones_later() -> None:
    rig = Tidied()
    await end(rig.store, "done", Completed({}))
    await end(rig.store, "failed", BROKEN)
    await submit(rig.store, "queued")
    async with going(rig.forgetting(), rig):
        await rig.clock.advance(DAY.total_seconds())
        assert await rig.total() == 3
        await rig.clock.advance(EVERY + 1)
        with pytest.raises(JobNotFound):
            await rig.job("done")
        assert (await rig.job("failed")).status is Status.FAILED
        assert [ids for ids in rig.dropped if ids] == [["done"]]
    rig.clock.set_wall(later(MONTH.total_seconds()))
    async with going(rig.forgetting(), rig):
        await rig.clock.advance(EVERY + 1)
        assert [ids for ids in rig.dropped if ids] == [["done"], ["failed"]]
        assert [job.id for job in (await rig.queue.find(ALL)).jobs] == ["queued"]


async def test_much_is_forgotten_in_slices_until_nothing_is_left() -> None:
    rig, many = Tidied(), 2 * SLICE + 7
    await submit(rig.store, *(f"job{n}" for n in range(many)))
    for job in await rig.store.claim({"hls": many}, many, "boot", timedelta(seconds=1), rig.clock.now()):
        await rig.store.change(job.id, settled(Completed({})), lease=job.lease)
    rig.clock.set_wall(later(2 * DAY.total_seconds()))
    async with going(rig.forgetting(), rig):
        await rig.clock.advance(EVERY + 1)
    assert [len(ids) for ids in rig.dropped] == [SLICE, SLICE, 7]
    assert await rig.total() == 0


async def test_a_job_that_still_owes_a_delivery_is_kept() -> None:
    rig = Tidied()
    await end(rig.store, "owes", target=CALLBACK)
    rig.clock.set_wall(later(2 * MONTH.total_seconds()))
    async with going(rig.forgetting(), rig):
        await rig.clock.advance(EVERY + 1)
    assert await rig.total() == 1


async def test_a_full_disk_only_delays_forgetting() -> None:
    rig = Tidied()
    await end(rig.store, "done")
    rig.clock.set_wall(later(2 * DAY.total_seconds()))
    async with going(rig.forgetting(), rig):
        rig.store.full = True
        await rig.clock.advance(3 * EVERY)
        assert rig.store.refused == 3 and rig.dropped == []
        rig.store.full = False
        await rig.clock.advance(EVERY)
        assert rig.dropped == [["done"]]


async def test_what_waits_for_long_overtakes_higher_priorities() -> None:
    rig = Tidied()
    await submit(rig.store, "patient", priority=4)
    async with going(age(rig.store, rig.clock), rig):
        await rig.clock.advance(4 * AGE_STEP.total_seconds() - 1)
        await submit(rig.store, "urgent", priority=0, at=rig.clock.now())
        assert (await next_job(rig)).id == "urgent"
        await rig.clock.advance(AGE_EVERY)
        await submit(rig.store, "later", priority=0, at=rig.clock.now())
        job = await next_job(rig)
        assert (job.id, job.priority) == ("patient", 4)


async def next_job(rig: Rig) -> Any:
    [job] = await rig.store.claim({"hls": 1}, 1, "boot", timedelta(seconds=9), rig.clock.now())
    return job


async def test_a_full_disk_only_delays_aging() -> None:
    rig = Tidied()
    async with going(age(rig.store, rig.clock), rig) as task:
        rig.store.full = True
        await rig.clock.advance(3 * AGE_EVERY)
        assert rig.store.refused == 3 and not task.done()


@pytest.mark.parametrize("loop", ["forget", "age"])
async def test_a_broken_store_ends_the_loop(loop: str) -> None:
    rig = Tidied()
    async with going(rig.forgetting() if loop == "forget" else age(rig.store, rig.clock), rig) as task:
        rig.store.broken = True
        await rig.clock.advance(EVERY)
        assert isinstance(task.exception(), StoreBroken)


async def test_running_jobs_are_never_forgotten() -> None:
    rig = Tidied()
    await start(rig.store, "running")
    rig.clock.set_wall(later(2 * MONTH.total_seconds()))
    async with going(rig.forgetting(), rig):
        await rig.clock.advance(EVERY + 1)
    assert await rig.total() == 1
