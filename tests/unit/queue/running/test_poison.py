"""Poison is charged to the guilty: daemons that die of one job beside others, in one process and on a clock of ours."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from secondunit.queue.errors import StoreBroken
from secondunit.queue.handler import HandlerSpec, JobContext, Registry
from secondunit.queue.model import Change, Job, JobId, Status, Submission
from secondunit.queue.running import leases
from secondunit.queue.stores.memory import MemoryStore
from secondunit.queue.value import replace
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import TTL
from secondunit.testing.rig import SteadyRandom
from secondunit.testing.simulated_process import Process, StoreLink

TICK = 0.25
LONG = 100


class Payload(BaseModel):
    seconds: float = LONG
    deadly: bool = False
    reports: bool = False


class Box:
    """A box whose daemon dies of deadly jobs, and is started again each time."""

    def __init__(self, *, concurrency: int = 4) -> None:
        self.clock = ManualClock()
        self.rng = SteadyRandom()
        self.store = MemoryStore()
        self.registry = Registry(
            [HandlerSpec(type, Payload, self.run, concurrency=concurrency) for type in ("encode", "plugin", "small")]
        )
        self.boots = 0
        self.deaths = 0
        self.dying = False
        self.alive: list[JobId] = []
        self.beside: list[frozenset[JobId]] = []

    async def run(self, ctx: JobContext, payload: Payload) -> str:
        self.alive.append(ctx.job_id)
        try:
            if payload.deadly:
                await self.clock.sleep(payload.seconds)
                self.dying = True
                await asyncio.Event().wait()
            for part in range(10):
                await self.clock.sleep(payload.seconds / 10)
                if payload.reports:
                    await ctx.progress((part + 1) / 10)
            return "done"
        finally:
            self.alive.remove(ctx.job_id)

    async def boot(self) -> None:
        self.boots += 1
        self.alive.clear()
        self.daemon = Process(self.store, self.clock, self.rng, self.registry, boot=f"boot-{self.boots}", most=8)
        await self.daemon.start()
        await self.clock.settle()

    async def submit(self, type: str, **payload: Any) -> JobId:
        job, _ = await self.daemon.queue.submit(Submission(type, payload))
        await self.clock.settle()
        return job.id

    async def live(self, seconds: float) -> None:
        """Let time pass; whenever the daemon dies, start it again."""
        for _ in range(int(seconds / TICK)):
            await self.clock.advance(TICK)
            self.daemon.check()
            self.beside.append(frozenset(self.alive))
            if self.dying:
                self.dying = False
                self.deaths += 1
                await self.die()

    async def die(self) -> None:
        await self.daemon.kill()
        await self.boot()

    async def job(self, job_id: JobId) -> Job:
        return await self.store.get(job_id)

    async def until_quiet(self) -> None:
        for _ in range(200):
            await self.live(10)
            if not sum((await self.store.counts()).queued.values()) + len(self.alive):
                return
        raise AssertionError("it never came to rest")


async def poison(box: Box, job_id: JobId) -> bool:
    job = await box.job(job_id)
    return job.status is Status.FAILED and job.error is not None and job.error.type == "poison"


@pytest.mark.parametrize("reports", [False, True])
async def test_three_innocents_complete_beside_one_of_which_the_daemon_dies(reports: bool) -> None:
    box = Box()
    await box.boot()
    innocent = [await box.submit("encode", reports=reports) for _ in range(3)]
    guilty = await box.submit("plugin", seconds=2, deadly=True)
    await box.until_quiet()
    assert [(await box.job(job_id)).status for job_id in innocent] == [Status.COMPLETED] * 3
    assert [(await box.job(job_id)).reclaims for job_id in innocent] == [0] * 3
    assert await poison(box, guilty)
    assert box.deaths == 4, "one in company, for which nobody is charged, and three alone"
    runs = (await box.job(guilty)).runs
    assert [run.outcome for run in runs] == ["lost", "crashed", "crashed", "failed"]
    assert all(run.why for run in runs[:3])


async def test_one_of_an_unproven_type_is_charged_at_once_beside_a_proven_one() -> None:
    box = Box()
    await box.boot()
    await box.submit("encode", seconds=1)
    await box.live(2)
    innocent = [await box.submit("encode") for _ in range(3)]
    guilty = await box.submit("plugin", seconds=2, deadly=True)
    await box.until_quiet()
    assert [(await box.job(job_id)).status for job_id in innocent] == [Status.COMPLETED] * 3
    assert (await poison(box, guilty), box.deaths) == (True, 3)


async def test_a_job_that_runs_alone_is_poison_after_three_deaths() -> None:
    box = Box()
    await box.boot()
    guilty = await box.submit("plugin", seconds=2, deadly=True)
    await box.until_quiet()
    assert (await poison(box, guilty), box.deaths) == (True, 3)


async def test_two_guilty_ones_are_both_found_and_nobody_else_is() -> None:
    box = Box()
    await box.boot()
    innocent = [await box.submit("encode") for _ in range(2)]
    guilty = [await box.submit("plugin", seconds=seconds, deadly=True) for seconds in (2, 3)]
    await box.until_quiet()
    assert [await poison(box, job_id) for job_id in guilty] == [True, True]
    assert [(await box.job(job_id)).status for job_id in innocent] == [Status.COMPLETED] * 2


async def test_suspects_are_tried_one_at_a_time_beside_what_is_known_to_be_good() -> None:
    box = Box()
    await box.boot()
    await box.submit("small", seconds=1)
    await box.live(2)
    suspects = [await box.submit("encode", seconds=20), await box.submit("plugin", seconds=20)]
    await box.live(5)
    await box.die()
    box.beside.clear()
    good = await box.submit("small", seconds=5)
    unproven = await box.submit("plugin", seconds=5)
    await box.live(10)
    assert any(good in alive and alive & set(suspects) for alive in box.beside), "it need not wait"
    assert not any(len(alive & set(suspects)) > 1 or unproven in alive for alive in box.beside)
    await box.until_quiet()
    assert [(await box.job(job_id)).status for job_id in (*suspects, good, unproven)] == [Status.COMPLETED] * 4


async def test_a_suspect_that_is_past_the_point_lets_the_next_one_start_beside_it() -> None:
    box = Box()
    await box.boot()
    jobs = [await box.submit("encode", seconds=300) for _ in range(3)]
    await box.live(5)
    await box.die()
    box.beside.clear()
    began = box.clock.monotonic()
    while len(box.beside[-1] if box.beside else ()) < 3:
        await box.live(1)
        assert box.clock.monotonic() - began < 3 * (5 + TTL.total_seconds() + 5), (
            "each has to outlive the last run only"
        )
    await box.until_quiet()
    assert [(await box.job(job_id)).status for job_id in jobs] == [Status.COMPLETED] * 3


@pytest.mark.parametrize("how", ["lag", "asked to stop"])
async def test_lags_pauses_and_stops_make_nobody_a_suspect(how: str) -> None:
    box = Box()
    await box.boot()
    jobs = [await box.submit("encode", seconds=60), await box.submit("plugin", seconds=60)]
    for _ in range(5):
        await box.live(5)
        if how == "lag":
            await box.clock.leap(2 * TTL.total_seconds())
            await box.live(TTL.total_seconds())
        else:
            await box.store.stopping(f"boot-{box.boots}")
            await box.die()
        for job_id in jobs:
            job = await box.job(job_id)
            assert (job.reclaims, job.suspicion, job.attempt) == (0, None, 1)
    await box.until_quiet()
    outcomes = Counter([run.outcome for job_id in jobs for run in (await box.job(job_id)).runs])
    assert outcomes == {"lost": 10, "completed": 2}


async def test_a_start_that_was_cut_off_itself_charges_nobody_for_it() -> None:
    box = Box()
    await box.boot()
    for _ in range(2):
        await box.submit("encode")
    await box.daemon.kill()
    await cut_off_start(box)
    await box.boot()
    assert [job.reclaims for job in await box.store.suspects()] == [0, 0]


async def test_a_start_that_was_cut_off_at_the_end_of_the_guilty_leaves_nobody_alone_for_it() -> None:
    box = Box()
    await box.boot()
    await box.submit("encode", seconds=1)
    await box.live(2)
    guilty, other = await box.submit("plugin"), await box.submit("encode")
    await box.store.change(guilty, lambda job: Change(replace(job, reclaims=2)))
    await box.daemon.kill()
    await cut_off_start(box)
    await box.boot()
    assert (await box.job(other)).reclaims == 0


async def cut_off_start(box: Box) -> None:
    """A start that dies once it has freed one job."""
    cut: list[str] = []
    link: Any = StoreLink(box.store, cut)
    with pytest.raises(StoreBroken):
        await leases.reclaim(link, box.clock, "cut off", lambda fact: cut.append("dead"))


async def test_a_suspect_whose_type_is_paused_holds_nobody_back() -> None:
    box = Box()
    await box.boot()
    await box.submit("plugin")
    await box.live(2)
    await box.store.pause("plugin", True)
    await box.die()
    other = await box.submit("encode", seconds=5)
    await box.live(10)
    assert (await box.job(other)).status is Status.COMPLETED


async def test_a_suspect_of_a_drain_is_one_still() -> None:
    box = Box()
    await box.boot()
    job_id = await box.submit("plugin", seconds=200)
    await box.live(2)
    await box.die()
    await box.live(1)
    await box.daemon.drain()
    await box.boot()
    await box.live(1)
    job = await box.job(job_id)
    assert job.suspicion is not None and job.reclaims == 1 and job.status is Status.RUNNING
    await box.live((TTL + timedelta(seconds=5)).total_seconds())
    assert (await box.job(job_id)).suspicion is None
