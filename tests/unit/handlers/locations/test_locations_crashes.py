"""The locations job where it dies: after every step and every place, and on a real queue; nothing is repeated."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.locations import handler as locations
from secondunit.handlers.tools.storage.workspace import WorkFolders
from secondunit.handlers.tools.subtitles.cue import Cue
from secondunit.queue.handler import Registry
from secondunit.queue.hub import Hub
from secondunit.queue.model import Event, Job, JobId, Status, Submission
from secondunit.queue.outcome import Partial
from secondunit.queue.running import leases
from secondunit.queue.running.execution import Runtime
from secondunit.queue.running.worker import Worker
from secondunit.queue.service import Queue
from secondunit.queue.stores.memory import MemoryStore
from secondunit.testing.handler_kit import FakeContext
from secondunit.testing.jobs import TTL
from secondunit.testing.rig import SteadyRandom
from tests.unit.handlers.locations.journey import FIVE, URL, Journey, limited, unreached

Make = Callable[..., Journey]


# What is written on the way: the captions, the chunks, two answers, and each place.
WRITES = 4 + len(FIVE)


class Death(BaseException):
    """The process is gone."""


class Mortal:
    """A context that dies when so many things were written: results of steps, and places that were published."""

    def __init__(self, ctx: FakeContext, writes: int) -> None:
        self._ctx = ctx
        self._left = writes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    async def step(self, name: str, work: Any, **options: Any) -> Any:
        new = name not in self._ctx.steps
        result = await self._ctx.step(name, work, **options)
        if new:
            self._write()
        return result

    async def partial(self, data: Any) -> None:
        await self._ctx.partial(data)
        self._write()

    def _write(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise Death


def long(j: Journey) -> Journey:
    """Enough words for two questions."""
    filler = [Cue(300.0 + 9 * n, 309.0 + 9 * n, f"thing{n} " * 35) for n in range(520)]
    j.spoken.cues = [*j.spoken.cues, *filler]
    return j


@pytest.mark.slow
async def test_a_death_after_any_write_repeats_nothing_that_was_finished(journey: Make) -> None:
    deaths = 0
    for writes in range(1, 100):
        j = long(journey())
        j.atlas.faults["Longshan Temple"] = [unreached()]
        ctx = await j.context(f"job_{writes}")
        try:
            await j.find(Mortal(ctx, writes))
        except Death:
            deaths += 1
        else:
            break
        result = await j.find(await ctx.rerun())
        assert [route["location"] for route in result["routes"]] == list(FIVE)
        assert (len(j.spoken.asked), len(j.reader.asked)) == (1, 2)
        asked = Counter(j.atlas.asked)
        assert asked.pop("Longshan Temple") <= 3 and set(asked.values()) == {1}
        assert result["stats"]["tokens_in"] == 2000
    assert deaths == WRITES


async def test_a_death_at_every_write_in_turn_still_gets_there(journey: Make) -> None:
    j = long(journey())
    ctx = await j.context()
    for _ in range(WRITES):
        with pytest.raises(Death):
            await j.find(Mortal(ctx, 1))
        ctx = await ctx.rerun()
    assert len((await j.find(ctx))["routes"]) == 5
    assert (len(j.spoken.asked), len(j.reader.asked), j.atlas.asked) == (1, 2, list(FIVE))


async def test_a_death_in_the_retry_does_not_ask_again_for_what_it_found(journey: Make) -> None:
    j = journey()
    for name in FIVE[2:]:
        j.atlas.known.pop(name)
    ctx = await j.context()
    assert isinstance(await j.find(ctx), Partial)
    j.atlas.asked.clear()
    await j.clock.advance(60)
    j.atlas.known |= {FIVE[2]: j.atlas.known[FIVE[0]], FIVE[4]: j.atlas.known[FIVE[0]]}
    ctx = await ctx.rerun()
    with pytest.raises(Death):
        await j.find(Mortal(ctx, 2))
    ended = await j.find(await ctx.rerun())
    assert isinstance(ended, Partial) and [failure["raw"] for failure in ended.missing] == [FIVE[3]]
    assert j.atlas.asked == list(FIVE[2:])


class Box:
    """A queue and a worker over a journey."""

    def __init__(self, j: Journey, folder: Path) -> None:
        self.j, self.store, self.hub = j, MemoryStore(), Hub()
        self.folder = folder
        self.boots = 0
        self.events: list[Event] = []

    @asynccontextmanager
    async def working(self) -> AsyncIterator["Box"]:
        """One life of the daemon."""
        self.boots += 1
        hub, rng, boot = Hub(), SteadyRandom(), f"boot-{self.boots}"
        hub.tap(self.events.extend)
        self.store.listen(hub.publish)
        registry = Registry([locations.build(self.j.tools)])
        runtime = Runtime(self.store, hub, self.j.clock, rng, WorkFolders(self.folder))
        self.queue = Queue(self.store, registry, hub, self.j.clock, rng)
        await leases.reclaim(self.store, self.j.clock, boot)
        task = asyncio.create_task(Worker(runtime, registry, boot=boot, ttl=TTL, most=5).run())
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def submit(self, url: str = URL) -> JobId:
        job, _ = await self.queue.submit(Submission("locations", {"videoUrl": url}))
        return job.id

    async def until(self, job_id: JobId, reached: Callable[[Job], Any]) -> Job:
        async with asyncio.timeout(30):
            while not reached(job := await self.store.get(job_id)):
                await self.j.clock.advance(0.01)
                await asyncio.sleep(0.002)
        return job

    async def ended(self, job_id: JobId) -> Job:
        return await self.until(job_id, lambda job: job.status.ended)


async def test_on_a_queue_a_partial_job_is_completed_by_its_retry(journey: Make, tmp_path: Path) -> None:
    box = Box(j := journey(), tmp_path / "data")
    j.atlas.broken["Beitou Hot Springs"] = unreached()
    async with box.working():
        job_id = await box.submit()
        job = await box.ended(job_id)
        assert (job.status, job.progress) == (Status.PARTIAL, 1.0)
        assert job.missing == [{"raw": "Beitou Hot Springs", "reason": "unavailable"}]
        assert job.stats == {"tokens_in": 1000, "tokens_out": 250, "locations_found": 4}
    j.atlas.broken.clear()
    j.atlas.asked.clear()
    async with box.working():
        await box.queue.retry(job_id)
        job = await box.ended(job_id)
    assert (job.status, j.atlas.asked, len(j.reader.asked)) == (Status.COMPLETED, ["Beitou Hot Springs"], 1)
    assert job.stats == {"tokens_in": 1000, "tokens_out": 250, "locations_found": 5}
    told = [[place["location"] for place in event.data["locations"]] for event in box.events if event.name == "data"]
    assert told == [[name] for name in FIVE[:4]] + [list(FIVE[:4]), ["Beitou Hot Springs"]]


async def test_on_a_queue_a_limited_job_waits_visibly_at_no_cost(journey: Make, tmp_path: Path) -> None:
    box = Box(j := journey(), tmp_path / "data")
    j.atlas.faults["Longshan Temple"] = [limited(90)]
    async with box.working():
        job_id = await box.submit()
        parked = await box.until(job_id, lambda job: job.status is Status.QUEUED and job.epoch > 0)
        assert (parked.attempt, parked.error) == (1, None) and "pause of 90 s" in str(parked.message)
        await j.clock.advance(91)
        job = await box.ended(job_id)
    assert (job.status, j.atlas.asked) == (Status.COMPLETED, [*FIVE[:3], *FIVE[2:]])


async def test_on_a_queue_ten_videos_at_once_are_all_found(journey: Make, tmp_path: Path) -> None:
    box = Box(j := journey(), tmp_path / "data")
    async with box.working():
        ids = [await box.submit(f"{URL}?v={n}") for n in range(10)]
        jobs = [await box.ended(job_id) for job_id in ids]
    assert {job.status for job in jobs} == {Status.COMPLETED}
    assert (len(j.reader.asked), sorted(set(j.atlas.asked))) == (10, sorted(FIVE))
