"""Keeping leases: the beats, the clock, a disk without room."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue import state
from secondunit.queue.errors import StoreBroken
from secondunit.queue.handler import JobContext
from secondunit.queue.instrumentation import BeatLate, RunReclaimed
from secondunit.queue.model import Change, Job, JobId, Status
from secondunit.queue.running.leases import keep
from secondunit.queue.value import replace
from secondunit.testing.jobs import TTL, held, later, names
from secondunit.testing.rig import Rig, spec

BEAT = TTL.total_seconds() / 3


async def forever(ctx: JobContext, payload: Any) -> None:
    await asyncio.Event().wait()


class Kept(Rig):
    """A worker whose leases are kept; `set_by` is how far the clock is said to have been set."""

    def __init__(self) -> None:
        super().__init__(spec("hls", forever, concurrency=3, timeout=timedelta(days=9), stall=timedelta(days=9)))
        self.set_by = timedelta()

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[asyncio.Task[None]]:
        loop = keep(self.worker, self.store, self.clock, clock_was_set=self._was_set, emit=self.facts.append)
        async with self.working():
            task = asyncio.create_task(loop)
            await self.clock.settle()
            try:
                yield task
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError, StoreBroken):
                    await task

    @property
    def reclaimed(self) -> list[Job]:
        return [fact.job for fact in self.heard(RunReclaimed)]

    async def jump(self, delta: timedelta) -> None:
        """Somebody sets the clock."""
        self.clock.set_wall(self.clock.now() + delta)

    async def started(self) -> JobId:
        job_id = await self.submit("hls")
        await self.clock.settle()
        return job_id

    def _was_set(self) -> timedelta:
        by, self.set_by = self.set_by, timedelta()
        return by


async def test_beats_keep_a_lease_for_as_long_as_its_run() -> None:
    rig = Kept()
    async with rig.keeping():
        job_id = await rig.started()
        for _ in range(20):
            await rig.clock.advance(BEAT)
            assert held(await rig.job(job_id)).until == rig.clock.now() + TTL
        job = await rig.job(job_id)
        assert (job.status, job.epoch, rig.reclaimed) == (Status.RUNNING, 1, [])


@pytest.mark.parametrize(("beats", "late"), [(1, []), (1.9, []), (2.1, [2.1]), (10, [10])])
async def test_a_beat_that_comes_late_is_announced(beats: float, late: list[float]) -> None:
    rig = Kept()
    async with rig.keeping():
        await rig.clock.advance(BEAT)
        await rig.clock.leap(BEAT * beats)
        await rig.clock.advance(BEAT)
    assert [round(fact.seconds / BEAT, 3) for fact in rig.heard(BeatLate)] == late
    assert {fact.lease for fact in rig.heard(BeatLate)} <= {TTL.total_seconds()}


async def test_a_run_that_lost_its_lease_is_stopped_by_the_next_beat() -> None:
    rig = Kept()
    async with rig.keeping():
        job_id = await rig.started()
        await rig.queue.pause("hls")
        await rig.change(job_id, state.recover, rig.clock.now())
        assert len(rig.worker.leases()) == 1
        await rig.clock.advance(BEAT)
        assert rig.worker.leases() == []
        assert (await rig.job(job_id)).status is Status.QUEUED


async def test_a_wish_to_cancel_is_seen_by_the_beat() -> None:
    rig = Kept()
    async with rig.keeping():
        job_id = await rig.started()
        await rig.change(job_id, state.cancel, rig.clock.now())
        await rig.clock.advance(BEAT)
        assert (await rig.job(job_id)).status is Status.CANCELLED


async def test_a_lease_that_ran_out_is_freed_and_its_run_writes_nothing() -> None:
    rig = Kept()
    async with rig.keeping():
        job_id = await rig.started()
        await rig.queue.pause("hls")
        await rig.jump(TTL + timedelta(seconds=1))  # we were stopped, and go on
        await rig.clock.advance(BEAT)
        job = await rig.job(job_id)
        assert (job.status, job.reclaims, job.attempt, job.suspicion) == (Status.QUEUED, 0, 1, None)
        assert [freed.id for freed in rig.reclaimed] == [job_id]
        assert rig.worker.leases() == []
        assert await names(rig.store, job_id) == ["queued", "started", "queued"]


async def test_after_a_freeze_the_job_runs_once_more_under_a_new_lease() -> None:
    rig = Kept()
    async with rig.keeping():
        job_id = await rig.started()
        await rig.jump(timedelta(hours=1))
        await rig.clock.advance(2 * BEAT)
        job = await rig.job(job_id)
        assert (job.status, job.epoch) == (Status.RUNNING, 2)
        assert [lease.epoch for lease in rig.worker.leases()] == [2]


@pytest.mark.parametrize("delta", [timedelta(hours=1), timedelta(hours=-1)])
async def test_setting_the_clock_costs_no_lease(delta: timedelta) -> None:
    rig = Kept()
    async with rig.keeping():
        job_id = await rig.started()
        rig.set_by = delta
        await rig.jump(delta)
        for _ in range(5):
            await rig.clock.advance(BEAT)
        job = await rig.job(job_id)
        assert (job.status, job.epoch, rig.reclaimed) == (Status.RUNNING, 1, [])
        assert held(job).until == rig.clock.now() + TTL


async def test_a_shift_that_found_the_disk_full_is_made_up_for() -> None:
    rig = Kept()
    async with rig.keeping():
        await rig.started()
        waiting = await rig.submit("hls", run_at=later(0))
        await rig.queue.pause("hls")
        await rig.change(waiting, lambda job: Change(replace(job, attempt=2, run_at=later(900))))
        rig.set_by, rig.store.full = timedelta(hours=1), True
        await rig.jump(timedelta(hours=1))
        await rig.clock.advance(BEAT)
        rig.store.full = False
        await rig.clock.advance(BEAT)
        assert (await rig.job(waiting)).run_at == later(900 + 3600)


async def test_a_full_disk_does_not_cost_live_leases() -> None:
    rig = Kept()
    async with rig.keeping() as task:
        job_id = await rig.started()
        await rig.clock.advance(BEAT)
        rig.store.full = True
        await rig.clock.advance(10 * TTL.total_seconds())
        assert not task.done() and len(rig.worker.leases()) == 1
        rig.store.full = False
        await rig.clock.advance(BEAT)
        job = await rig.job(job_id)
        assert (job.status, job.epoch, rig.reclaimed) == (Status.RUNNING, 1, [])
        assert held(job).until == rig.clock.now() + TTL


async def test_forgiveness_ends_with_the_full_disk() -> None:
    rig = Kept()
    async with rig.keeping():
        job_id = await rig.started()
        rig.store.full = True
        await rig.clock.advance(2 * TTL.total_seconds())
        rig.store.full = False
        await rig.clock.advance(BEAT)
        await rig.jump(timedelta(hours=1))
        await rig.clock.advance(BEAT)
        assert [run.outcome for run in (await rig.job(job_id)).runs] == ["lost"]


async def test_a_broken_store_ends_the_beats() -> None:
    rig = Kept()
    async with rig.keeping() as task:
        for _ in range(3):  # no room is left, so nothing else asks the store
            await rig.started()
        rig.store.broken = True
        await rig.clock.advance(BEAT)
        assert isinstance(task.exception(), StoreBroken)
