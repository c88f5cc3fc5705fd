"""Schedules of boxes that share a queue: one runs them, any may move them, and a takeover doubles and drops no run."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from secondunit.daemon.automation.schedule_rules import Schedule
from secondunit.daemon.automation.scheduler import Scheduler
from secondunit.daemon.cron import Cron
from secondunit.queue.errors import DutyLost
from secondunit.queue.handler import JobContext, Registry
from secondunit.queue.hub import Hub
from secondunit.queue.model import Filter, Submission
from secondunit.queue.ports.duties import ALONE, Candidate, Tenure
from secondunit.queue.service import Queue
from secondunit.queue.stores.memory import MemoryStore
from secondunit.queue.value import replace
from secondunit.testing.clock import ManualClock
from secondunit.testing.rig import SteadyRandom, spec

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


async def never(ctx: JobContext, payload: Any) -> None:
    raise AssertionError("tests move jobs themselves")


def schedule(name: str = "s", **fields: Any) -> Schedule:
    return Schedule(name, Cron("* * * * *", ZoneInfo("UTC")), Submission("idle", {}), overlap="queue", **fields)


class Boxes:
    """A store and a clock that boxes share."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = ManualClock(NOON - timedelta(seconds=30))
        self.random = SteadyRandom()

    async def box(self, *schedules: Schedule) -> Scheduler:
        """A box that has started and runs no schedules yet."""
        hub = Hub()
        self.store.listen(hub.publish)
        queue = Queue(self.store, Registry([spec("idle", never)]), hub, self.clock, self.random)
        scheduler = Scheduler(schedules, queue, self.store.schedules, self.store.audit, self.clock, shared=True)
        hub.tap(scheduler.hear)
        await scheduler.start()
        return scheduler

    async def tenure(self, boot: str) -> Tenure:
        """Of who has the duty from now on, since whoever had it was frozen."""
        late = self.clock.now() + timedelta(days=1)
        [held] = await self.store.duties.take(["schedules"], Candidate(boot, timedelta(seconds=6), late))
        while held.boot != boot:
            late += timedelta(days=1)
            [held] = await self.store.duties.take(["schedules"], Candidate(boot, timedelta(seconds=6), late))
        return Tenure(held)

    async def runs(self) -> Sequence[str]:
        """The times that jobs are runs of."""
        page = await self.store.find(Filter(), None, 1000)
        return sorted(job.idempotency.key.split()[-1][11:16] for job in page.jobs if job.idempotency)

    @asynccontextmanager
    async def running(self, scheduler: Scheduler, tenure: Tenure) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(scheduler.run(tenure))
        await self.clock.settle()
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, ExceptionGroup):
                await task


@pytest.fixture
def boxes() -> Boxes:
    return Boxes()


async def test_a_box_that_only_starts_changes_nothing_that_is_kept(boxes: Boxes) -> None:
    a = await boxes.box(schedule("s"))
    assert list(await boxes.store.schedules.all()) == []
    async with boxes.running(a, await boxes.tenure("a/1")):
        await boxes.box(schedule("other"))
        assert [state.name for state in await boxes.store.schedules.all()] == ["s"]
        await boxes.clock.advance(60)
    assert await boxes.runs() == ["12:00"]


async def test_what_the_one_before_left_is_gone_on_with(boxes: Boxes) -> None:
    a, b = await boxes.box(schedule(missed="all")), await boxes.box(schedule(missed="all"))
    async with boxes.running(a, await boxes.tenure("a/1")):
        await boxes.clock.advance(100)
    await boxes.clock.advance(180)
    assert await boxes.runs() == ["12:00", "12:01"]
    async with boxes.running(b, await boxes.tenure("b/1")):
        await boxes.clock.settle()
        assert await boxes.runs() == ["12:00", "12:01", "12:02", "12:03", "12:04"]
        await boxes.clock.advance(60)
    assert (await boxes.runs())[-1] == "12:05" and len({*await boxes.runs()}) == 6


async def test_a_frozen_one_that_goes_on_moves_nothing_any_more(boxes: Boxes) -> None:
    a, b = await boxes.box(schedule()), await boxes.box(schedule())
    async with boxes.running(a, await boxes.tenure("a/1")) as first:
        await boxes.clock.advance(40)
        fresh = await boxes.tenure("b/1")
        async with boxes.running(b, fresh):
            await boxes.clock.advance(180)
            assert first.done()
            with pytest.raises(ExceptionGroup) as ended:
                await first
            assert ended.group_contains(DutyLost)
            [state] = await boxes.store.schedules.all()
            assert state.since == NOON + timedelta(minutes=3)
    runs = await boxes.runs()
    assert runs == ["12:00", "12:01", "12:02", "12:03"]


async def test_a_stale_run_does_not_set_its_schedule_back(boxes: Boxes) -> None:
    a, b = await boxes.box(schedule()), await boxes.box(schedule())
    stale = await boxes.tenure("a/1")
    async with boxes.running(a, stale):
        await boxes.clock.advance(40)
    fresh = await boxes.tenure("b/1")
    async with boxes.running(b, fresh):
        await boxes.clock.advance(180)
        [before] = await boxes.store.schedules.all()
        a._tenure = stale
        with pytest.raises(DutyLost):
            await a._come(a.timetable.schedules["s"])
        assert list(await boxes.store.schedules.all()) == [before]


async def test_any_box_pauses_runs_and_resumes_what_another_one_runs(boxes: Boxes) -> None:
    a, b = await boxes.box(schedule()), await boxes.box(schedule())
    async with boxes.running(a, await boxes.tenure("a/1")):
        await boxes.clock.advance(40)
        assert (await b.pause("s")).state.paused
        await boxes.clock.advance(120)
        assert await boxes.runs() == ["12:00"], "it is paused at once, whoever runs it"
        job = await b.run_now("s")
        for box in (a, b):
            [standing] = await box.all()
            assert (standing.state.paused, standing.state.last_job) == (True, job.id)
        await b.resume("s")
        await boxes.clock.advance(120)
        assert await boxes.runs() == ["12:00", "12:03", "12:04"]
        [standing] = await b.all()
        assert standing.next_at == NOON + timedelta(minutes=5)


async def test_of_two_boxes_that_move_one_at_once_neither_is_lost(boxes: Boxes) -> None:
    a, b = await boxes.box(schedule()), await boxes.box(schedule())
    async with boxes.running(a, await boxes.tenure("a/1")):
        await asyncio.gather(a.run_now("s"), b.run_now("s"), b.pause("s"), a.run_now("s"))
        [state] = await boxes.store.schedules.all()
        assert state.paused and len(state.open_jobs) == 3


async def test_only_who_runs_them_complains_of_one_that_stopped(boxes: Boxes) -> None:
    stops = schedule(pause_after=1)
    a, b = await boxes.box(stops), await boxes.box(stops)
    async with boxes.running(a, await boxes.tenure("a/1")):
        [state] = await boxes.store.schedules.all()
        await boxes.store.schedules.put([replace(state, paused=True, why="it failed")])
        await boxes.clock.advance(20)
        await b.all()
        assert a.stopped == {"s": "it failed"} and b.stopped == {}
    assert a.stopped == {}


async def test_alone_nothing_is_read_again(boxes: Boxes) -> None:
    hub = Hub()
    queue = Queue(boxes.store, Registry([spec("idle", never)]), hub, boxes.clock, boxes.random)
    asked = 0
    all_of = boxes.store.schedules.all

    async def counted() -> Any:
        nonlocal asked
        asked += 1
        return await all_of()

    boxes.store.schedules.all = counted  # type: ignore[method-assign]
    alone = Scheduler([schedule()], queue, boxes.store.schedules, boxes.store.audit, boxes.clock)
    await alone.start()
    async with boxes.running(alone, ALONE):
        await boxes.clock.advance(100)
        await alone.all()
    assert asked == 1 and await boxes.runs() == ["12:00", "12:01"]
