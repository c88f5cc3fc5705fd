"""Admission by disk space: who fits, who waits, who is woken, and that neither small nor large jobs starve."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.model import Job, Status
from secondunit.queue.running.admission import PATIENCE, Admission, Disk, Wish, refusal
from secondunit.queue.running.execution import Runtime
from secondunit.queue.running.worker import Worker
from secondunit.queue.sight.explain import explain
from secondunit.queue.sight.seen import Seen
from secondunit.testing.clock import START, ManualClock
from secondunit.testing.jobs import BOOT, TTL
from secondunit.testing.rig import Rig, spec

GB = 1 << 30
DISK = Disk(1, "the disk of /media", 10 * GB)
LATER = START + PATIENCE


def wish(need: float, name: str = "me", *, since: timedelta = timedelta(0), disk: int = 1) -> Wish:
    return Wish(name, "hls", int(need * GB), "/media/film", disk, START + since)


@pytest.mark.parametrize(
    ("need", "reserved", "fits"),
    [(9, (), True), (9.1, (), False), (4, (5,), True), (4, (3, 3), False), (0, (20,), True)],
)
def test_a_job_fits_beside_what_runs_reserved_and_what_stays_free(need: float, reserved: Any, fits: bool) -> None:
    why = refusal(wish(need), DISK, [n * GB for n in reserved], (), GB, START)
    assert (why is None) is fits


def test_what_does_not_fit_is_told_with_its_figures() -> None:
    assert refusal(wish(8), DISK, [2 * GB], (), GB, START) == (
        "no_room: hls reserves 8.0 GiB on the disk of /media, where 10.0 GiB are free, 2.0 GiB of it reserved by 1 "
        "running, and 1.0 GiB are to stay free (MIN_FREE_MB)"
    )


def test_who_does_not_fit_lets_others_by_for_ten_minutes() -> None:
    large, small = wish(9, "large"), wish(1, since=timedelta(minutes=1))
    assert refusal(small, DISK, [2 * GB], [large], GB, LATER - timedelta(seconds=1)) is None
    assert "large has waited" in (refusal(small, DISK, [2 * GB], [large], GB, LATER) or "")


def test_nobody_is_held_up_by_what_would_not_fit_if_nothing_ran_or_waits_for_another_disk_or_came_later() -> None:
    small = wish(1, since=timedelta(minutes=1))
    for other in (wish(9.5, "large"), wish(9, "large", disk=2), wish(9, "late", since=timedelta(minutes=2))):
        assert refusal(small, DISK, (), [other], GB, LATER + PATIENCE) is None


def test_who_has_waited_longest_is_held_up_by_nobody() -> None:
    large, other = wish(9, "large"), wish(8, "other", since=timedelta(minutes=1))
    assert refusal(large, DISK, (), [large, other], GB, LATER + PATIENCE) is None


class Full(Rig):
    """A worker whose jobs of type hls reserve `n` GiB each, of a disk with so much free."""

    def __init__(self, free: int) -> None:
        self.free, self.go, self.looks = free, asyncio.Event(), 0

        async def run(ctx: JobContext, payload: Any) -> None:
            await self.go.wait()

        subject: HandlerSpec = spec("hls", run, concurrency=5, reserve=lambda payload: payload.n * GB)
        super().__init__(subject)
        self.admission = self.another()
        before = self.runtime
        self.runtime = Runtime(
            before.store, before.hub, before.clock, before.random, before.workspaces, before.emit,
            reserved=self.admission.reserved,
        )  # fmt: skip
        self.worker = Worker(self.runtime, self.registry, boot=BOOT, ttl=TTL, most=5)

    def another(self) -> Admission:
        """One that knows of nobody who waits."""
        return Admission(self.store, self.hub, self.clock, ["hls"], GB, self._disk)

    def _disk(self, _: object) -> Disk:
        self.looks += 1
        return Disk(1, "a disk", self.free * GB)

    async def standing(self, job_id: str, status: Status, *, postponed: bool = False) -> Job:
        """The job, once it stands so; the clock goes on meanwhile."""
        async with asyncio.timeout(60):
            while True:
                job = await self.job(job_id)
                if job.status is status and (job.run_at is not None) is postponed:
                    return job
                await asyncio.sleep(0.01)
                await self.clock.advance(1.0)


async def test_what_does_not_fit_is_postponed_at_no_cost_explained_and_runs_once_another_has_ended() -> None:
    rig = Full(10)
    waking = asyncio.create_task(rig.admission.run())
    async with rig.working():
        first = await rig.submit("hls", 6)
        await rig.standing(first, Status.RUNNING)
        second = await rig.submit("hls", 6)
        job = await rig.standing(second, Status.QUEUED, postponed=True)
        told = explain(job, Seen(rig.clock.now(), rig.worker.load()))
        assert told.reason == "disk" and "reserves 6.0 GiB" in told.sentence and job.attempt == 1
        third = await rig.submit("hls", 1)
        await rig.standing(third, Status.RUNNING)
        rig.go.set()
        assert (await rig.standing(second, Status.COMPLETED)).attempt == 1
    waking.cancel()
    await asyncio.wait([waking])


async def test_it_is_woken_when_somebody_else_made_room() -> None:
    rig = Full(2)
    rig.go.set()
    waking = asyncio.create_task(rig.admission.run())
    async with rig.working():
        job_id = await rig.submit("hls", 6)
        await rig.standing(job_id, Status.QUEUED, postponed=True)
        rig.free = 10
        await in_time(rig, job_id)
    waking.cancel()
    await asyncio.wait([waking])


async def test_what_waited_when_the_daemon_ended_is_judged_anew_at_its_start() -> None:
    rig = Full(2)
    rig.go.set()
    async with rig.working():
        job_id = await rig.submit("hls", 6)
        await rig.standing(job_id, Status.QUEUED, postponed=True)
        rig.free = 10
        waking = asyncio.create_task(rig.another().run())
        await in_time(rig, job_id)
    waking.cancel()
    await asyncio.wait([waking])


class Ticking(ManualClock):
    """A clock that goes on between one look at it and the next, as real ones do."""

    def now(self) -> datetime:
        self._now += timedelta(microseconds=1)
        return super().now()


async def test_a_job_that_its_caller_wants_later_is_not_taken_for_one_that_waited_for_room() -> None:
    rig = Full(10)
    rig.clock = Ticking(rig.clock.now())
    later = rig.clock.now() + timedelta(days=365)
    job_id = await rig.submit("hls", 1, run_at=later)
    waking = asyncio.create_task(rig.another().run())
    for _ in range(3):
        await rig.clock.advance(10)
    assert (await rig.job(job_id)).run_at == later
    waking.cancel()
    await asyncio.wait([waking])


async def test_room_that_is_there_before_the_run_is_put_back_is_not_missed() -> None:
    rig = Full(2)
    rig.go.set()
    rig.store.settle.clear()
    waking = asyncio.create_task(rig.admission.run())
    async with rig.working():
        job_id = await rig.submit("hls", 6)
        async with asyncio.timeout(60):
            while not rig.admission.waits(job_id):
                await asyncio.sleep(0.01)
            rig.free, looks = 10, rig.looks
            while rig.admission.waits(job_id) and rig.looks < looks + 2:  # the first of the two has been acted on
                await rig.clock.advance(10)
                await asyncio.sleep(0.01)
        rig.store.settle.set()
        await in_time(rig, job_id)
    waking.cancel()
    await asyncio.wait([waking])


async def in_time(rig: Full, job_id: str) -> None:
    """It runs long before its postponement is over."""
    job = await rig.standing(job_id, Status.COMPLETED)
    assert job.finished_at is not None and job.finished_at - job.created_at < timedelta(minutes=30)
