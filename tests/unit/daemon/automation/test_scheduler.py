"""The scheduler over a queue: runs come, overlap, fail and pause; a daemon that dies anywhere has each run once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from secondunit.daemon.automation.schedule_rules import Schedule
from secondunit.daemon.automation.scheduler import ScheduleMoved, Scheduler
from secondunit.daemon.automation.timetable import NoSuchSchedule
from secondunit.daemon.cron import Cron
from secondunit.queue import state
from secondunit.queue.errors import (
    BadPayload,
    FieldError,
    Saturated,
    StoreBroken,
    StoreFull,
)
from secondunit.queue.handler import HandlerSpec, JobContext, Registry
from secondunit.queue.hub import Hub
from secondunit.queue.instrumentation import Fact
from secondunit.queue.model import Filter, Job, JobId, Submission
from secondunit.queue.outcome import Completed, Failed, JobError, Outcome
from secondunit.queue.ports.schedules import ScheduleState
from secondunit.queue.service import Queue
from secondunit.queue.stores.memory import MemoryStore
from secondunit.testing.clock import ManualClock
from secondunit.testing.rig import SteadyRandom, spec

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
MINUTE = 60.0
FLAKY = Failed(JobError("deterministic", "broken", "it is broken"))


async def never(ctx: JobContext, payload: Any) -> None:
    raise AssertionError("tests move jobs themselves")


def schedule(
    name: str = "s", cron: str = "* * * * *", type: str = "idle", payload: Any = None, **fields: Any
) -> Schedule:
    return Schedule(name, Cron(cron, ZoneInfo("UTC")), Submission(type, payload or {}), **fields)


class Crashing:
    """A way to the store that lets so many writes through and then dies, before the next one is made or after it."""

    def __init__(self, end: Any, writes: list[int], *, after: bool) -> None:
        self._end = end
        self._writes = writes
        self._after = after

    @property
    def alive(self) -> bool:
        """Whether it did not come to that yet."""
        return self._writes[0] >= 0

    def __getattr__(self, name: str) -> Any:
        there = getattr(self._end, name)
        if name in ("schedules", "audit"):
            return Crashing(there, self._writes, after=self._after)
        if name not in ("add", "change", "put", "drop"):
            return there

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._writes[0] -= 1
            if self._writes[0] == -1 and self._after:
                await there(*args, **kwargs)
            if self._writes[0] < 0:
                raise StoreBroken("the daemon is dead")
            return await there(*args, **kwargs)

        return call


class Box:
    """A store that outlives its daemons, a clock, and what they announced."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOON - timedelta(seconds=30))
        self.store: Any = MemoryStore()
        self.random = SteadyRandom()
        self.facts: list[ScheduleMoved] = []
        self.refusal: Exception | None = None
        self.full = False
        self.specs: list[HandlerSpec] = [spec("idle", never, check=self._check), spec("deploy", never, audited=True)]
        self.queue: Queue
        self.scheduler: Scheduler

    def _check(self, _: Any) -> None:
        if self.refusal:
            raise self.refusal

    def _admit(self) -> None:
        if self.full:
            raise StoreFull("the disk is full")

    @asynccontextmanager
    async def daemon(self, *schedules: Schedule, link: Any = None) -> AsyncIterator[Scheduler]:
        """One life of the daemon, over the store or over a link to it."""
        hub, store = Hub(), link or self.store
        self.store.listen(hub.publish)
        registry = Registry(self.specs)
        self.queue = Queue(store, registry, hub, self.clock, self.random, admit=self._admit)
        self.scheduler = Scheduler(schedules, self.queue, store.schedules, store.audit, self.clock, self._hear)
        hub.tap(self.scheduler.hear)
        await self.scheduler.start()
        task = asyncio.create_task(self.scheduler.run())
        await self.clock.settle()
        try:
            yield self.scheduler
        finally:
            task.cancel()
            self.store._listeners.clear()
            with suppress(asyncio.CancelledError, ExceptionGroup):
                await task

    def _hear(self, fact: Fact) -> None:
        assert isinstance(fact, ScheduleMoved)
        self.facts.append(fact)

    @property
    def told(self) -> list[tuple[str, int]]:
        """What was announced, and of how many runs."""
        return [(fact.what, fact.number) for fact in self.facts]

    async def jobs(self) -> Sequence[Job]:
        """All jobs, the oldest first."""
        found: Sequence[Job] = (await self.store.find(Filter(), None, 10_000)).jobs
        return found[::-1]

    async def runs(self) -> list[str]:
        """The times that jobs are runs of; none of a run by hand."""
        return [job.idempotency.key.split()[-1][11:16] for job in await self.jobs() if job.idempotency]

    async def state(self, name: str = "s") -> ScheduleState:
        """How it stands in the store."""
        [found] = [found for found in await self.store.schedules.all() if found.name == name]
        return found  # type: ignore[no-any-return]

    async def end(self, job_id: JobId, outcome: Outcome = Completed({})) -> None:
        """Run a job to this end."""
        now = self.clock.now()
        await self.store.change(job_id, lambda job: state.start(job, "boot", timedelta(minutes=1), now))
        await self.store.change(job_id, lambda job: state.settle(job, outcome, self.random, now))
        await self.clock.settle()

    async def end_all(self, outcome: Outcome = Completed({})) -> None:
        """Run to this end what is alive."""
        for job in await self.jobs():
            if not job.status.ended:
                await self.end(job.id, outcome)


@pytest.fixture
def box() -> Box:
    return Box()


async def test_a_run_comes_at_its_time_as_the_schedules_own(box: Box) -> None:
    async with box.daemon(schedule()):
        await box.clock.advance(29)
        assert await box.jobs() == []
        await box.clock.advance(1)
        [job] = await box.jobs()
        assert (job.source, job.submitted_by, job.created_at) == ("schedule", "schedule s", NOON)
        [standing] = await box.scheduler.all()
        assert (standing.state.last_at, standing.state.last_job, standing.last_status) == (NOON, job.id, "queued")
        assert standing.next_at == NOON + timedelta(minutes=1)
        assert ((await box.state()).since, (await box.state()).last_job) == (NOON, job.id)
        await box.end(job.id)
        [standing] = await box.scheduler.all()
        assert (standing.last_status, list((await box.state()).open_jobs)) == ("completed", [])
    assert box.told == [("submitted", 1)]


async def test_a_run_that_meets_an_earlier_job_is_left_out_and_told(box: Box) -> None:
    async with box.daemon(schedule()):
        await box.clock.advance(3 * MINUTE)
        [job] = await box.jobs()
        assert box.told == [("submitted", 1), ("skipped", 1), ("skipped", 1)]
        assert (await box.state()).why == (
            f"the run of 2026-11-28T12:02:00.000Z was skipped, since {job.id} of an earlier run was not done"
        )
        await box.end(job.id)
        await box.clock.advance(MINUTE)
        assert await box.runs() == ["12:00", "12:03"]
        assert (await box.state()).why is None


async def test_runs_queue_behind_each_other_where_they_may(box: Box) -> None:
    async with box.daemon(schedule(overlap="queue")):
        await box.clock.advance(3 * MINUTE)
        assert await box.runs() == ["12:00", "12:01", "12:02"]
        assert len((await box.state()).open_jobs) == 3


async def test_the_earlier_job_is_cancelled_before_the_new_one_is_there(box: Box) -> None:
    async with box.daemon(schedule(overlap="cancel")):
        await box.clock.advance(2 * MINUTE)
        names = [(event.name, event.job_id) for event in await box.store.events(0, Filter(), 10)]
        first, second = [job.id for job in await box.jobs()]
        assert names == [("queued", first), ("cancelled", first), ("queued", second)]
        assert ((await box.state()).failures, list((await box.state()).open_jobs)) == (0, [second])


async def test_schedules_do_not_wait_for_one_that_waits_for_a_job_to_stop(box: Box) -> None:
    async with box.daemon(schedule("slow", overlap="cancel"), schedule("quick", overlap="queue")):
        await box.clock.advance(MINUTE / 2)
        stuck = next(job for job in await box.jobs() if job.submitted_by == "schedule slow")
        now = box.clock.now()
        await box.store.change(stuck.id, lambda job: state.start(job, "boot", timedelta(hours=1), now))
        await box.clock.advance(2 * MINUTE)
        owners = Counter(job.submitted_by for job in await box.jobs())
        assert owners == {"schedule slow": 1, "schedule quick": 3}
        stopped = Failed(JobError("cancelled", "cancelled", "it was asked to stop"))
        await box.store.change(stuck.id, lambda job: state.settle(job, stopped, box.random, box.clock.now()))
        await box.clock.settle()
        slow = [job.status.value for job in await box.jobs() if job.submitted_by == "schedule slow"]
        assert slow == ["cancelled", "cancelled", "queued"], "those of 12:00, 12:01 and, due by now, 12:02"


async def test_it_pauses_after_failures_in_a_row_stays_so_over_a_restart_and_is_resumed(box: Box) -> None:
    planned = schedule(pause_after=2)
    async with box.daemon(planned):
        for _ in range(2):
            await box.clock.advance(MINUTE)
            await box.end_all(FLAKY)
        assert box.facts[-1].what == "paused" and "2 runs in a row failed" in (box.facts[-1].why or "")
        assert "2 runs in a row failed" in box.scheduler.timetable.stopped["s"]
        await box.clock.advance(5 * MINUTE)
        assert len(await box.jobs()) == 2
    async with box.daemon(planned):
        [standing] = await box.scheduler.all()
        assert (standing.state.paused, standing.next_at, standing.state.failures) == (True, None, 2)
        await box.clock.advance(5 * MINUTE)
        assert len(await box.jobs()) == 2
        standing = await box.scheduler.resume("s")
        assert (standing.state.paused, standing.state.why, standing.state.failures) == (False, None, 0)
        assert standing.next_at is not None and standing.next_at > box.clock.now()
        await box.clock.advance(MINUTE)
        assert len(await box.jobs()) == 3, "what was due while it was paused is not caught up on"
        assert box.scheduler.timetable.stopped == {}
        await box.scheduler.pause("s")
        assert box.scheduler.timetable.stopped == {}


async def test_a_job_that_ended_while_no_daemon_counted_it_counts_at_the_start(box: Box) -> None:
    async with box.daemon(schedule(pause_after=1)):
        await box.clock.advance(MINUTE / 2)
    await box.end_all(FLAKY)
    async with box.daemon(schedule(pause_after=1)):
        assert (await box.state()).paused


async def test_a_run_by_hand_goes_while_it_is_paused_and_beside_another(box: Box) -> None:
    async with box.daemon(schedule(cron="0 3 * * *")):
        await box.scheduler.pause("s")
        first, second = await box.scheduler.run_now("s"), await box.scheduler.run_now("s")
        assert first.id != second.id
        found = await box.state()
        assert (found.last_job, list(found.open_jobs), found.paused) == (second.id, [first.id, second.id], True)
        assert (found.why, found.since) == ("paused by hand", NOON - timedelta(seconds=30))
        for _ in range(98):
            await box.scheduler.run_now("s")
        with pytest.raises(Saturated, match="100 jobs"):
            await box.scheduler.run_now("s")
        with pytest.raises(NoSuchSchedule):
            await box.scheduler.run_now("other")


@pytest.mark.parametrize(("missed", "caught_up"), [("skip", 0), ("once", 1), ("all", 7)])
async def test_after_a_week_off(box: Box, missed: Any, caught_up: int) -> None:
    planned = schedule(cron="0 3 * * *", missed=missed)
    async with box.daemon(planned):
        pass
    await box.clock.leap(7 * 86_400)
    for _ in range(3):
        async with box.daemon(planned):
            await box.clock.advance(20)
            assert len(await box.jobs()) == caught_up
    assert Counter(dict(box.told)) == Counter(missed=7 - caught_up, submitted=caught_up)
    async with box.daemon(planned):
        await box.end_all()
        await box.clock.leap((NOON.replace(hour=2, minute=59) + timedelta(days=8) - box.clock.now()).total_seconds())
        await box.clock.advance(2 * MINUTE)
        assert len(await box.jobs()) == caught_up + 1


async def test_a_clock_that_is_set_brings_no_run_twice(box: Box) -> None:
    async with box.daemon(schedule(overlap="queue", missed="all")):
        await box.clock.advance(3 * MINUTE)
        for minutes in (-2, 4, -30, 0.5, -7, 31):
            box.clock.set_wall(box.clock.now() + timedelta(minutes=minutes))
            await box.clock.advance(20)
        runs = await box.runs()
        assert len(runs) == len({*runs}) > 4


async def test_what_a_wrong_clock_led_into_the_future_is_told_and_resumed(box: Box) -> None:
    async with box.daemon(schedule(overlap="queue")):
        box.clock.set_wall(NOON + timedelta(days=365))
        await box.clock.advance(20)
        box.clock.set_wall(NOON)
        assert "what comes before 2027-11-28" in box.scheduler.timetable.stopped["s"]
        await box.clock.advance(5 * MINUTE)
        assert len(await box.jobs()) == 1
        await box.scheduler.resume("s")
        assert box.scheduler.timetable.stopped == {}
        await box.clock.advance(MINUTE)
        assert len(await box.jobs()) == 2


async def test_one_that_is_taken_out_is_forgotten_and_one_that_is_renamed_is_new(box: Box) -> None:
    async with box.daemon(schedule("kept", pause_after=1), schedule("old", pause_after=1)):
        await box.clock.advance(MINUTE)
        await box.end_all(FLAKY)
        [kept, old] = await box.scheduler.all()
        assert kept.state.paused and old.state.paused
    async with box.daemon(schedule("kept", pause_after=1), schedule("new", pause_after=1)):
        [kept, new] = await box.scheduler.all()
        assert (kept.state.paused, new.state.paused, new.state.last_job) == (True, False, None)
        assert [found.name for found in await box.store.schedules.all()] == ["kept", "new"]
        assert len(await box.jobs()) == 2
    async with box.daemon(schedule("old")):
        assert not (await box.state("old")).paused


async def test_one_whose_times_were_changed_counts_from_now(box: Box) -> None:
    async with box.daemon(schedule(missed="all", overlap="queue")):
        await box.clock.advance(MINUTE)
    await box.clock.leap(10 * MINUTE)
    async with box.daemon(schedule(cron="*/2 * * * *", missed="all", overlap="queue")):
        await box.clock.advance(2 * MINUTE)
    assert await box.runs() == ["12:00", "12:12"]


async def test_a_run_that_can_not_be_stored_now_comes_later_and_once(box: Box) -> None:
    box.full = True
    async with box.daemon(schedule(cron="0 * * * *")):
        await box.clock.advance(5 * MINUTE)
        assert (await box.jobs(), box.told) == ([], [("put off", 1)])
        box.full = False
        await box.clock.advance(MINUTE)
        assert await box.runs() == ["12:00"]


@pytest.mark.parametrize(
    ("refusal", "payload", "says"),
    [
        (BadPayload(FieldError("inputPath", "is not there")), {}, "payload.inputPath: is not there"),
        (None, {"n": {"$from": "job_x"}}, "is called job_x"),
    ],
)
async def test_a_run_that_is_refused_for_good_counts_as_failed(
    box: Box, refusal: Exception | None, payload: Any, says: str
) -> None:
    box.refusal = refusal
    async with box.daemon(schedule(pause_after=2, payload=payload)):
        await box.clock.advance(5 * MINUTE)
        found = await box.state()
        assert (found.failures, found.paused, found.last_job) == (2, True, None)
        assert found.why is not None and "refused: " in found.why and says in found.why
    assert [what for what, _ in box.told] == ["refused", "refused", "paused"]


async def test_a_daemon_that_drains_submits_and_cancels_nothing(box: Box) -> None:
    async with box.daemon(schedule(overlap="cancel")):
        await box.clock.advance(MINUTE / 2)
        box.queue.draining = True
        await box.clock.advance(2 * MINUTE)
    [job] = await box.jobs()
    assert job.status == "queued"
    async with box.daemon(schedule(overlap="cancel")):
        assert [job.status for job in await box.jobs()] == ["cancelled", "queued"]


async def test_what_changes_something_outside_is_audited(box: Box) -> None:
    async with box.daemon(schedule(type="deploy")):
        await box.clock.advance(MINUTE / 2)
    [entry], [job] = await box.store.audit.find(None, 10), await box.jobs()
    assert (entry.action, entry.target, entry.detail) == ("deploy", job.id, "schedule s")


async def test_the_next_times_are_told_of_a_paused_one_too(box: Box) -> None:
    async with box.daemon(schedule(cron="0 3 * * *")):
        await box.scheduler.pause("s")
        assert [at.day for at in box.scheduler.upcoming("s", 3)] == [29, 30, 1]
        with pytest.raises(NoSuchSchedule):
            box.scheduler.upcoming("other", 1)


@pytest.mark.parametrize("overlap", ["queue", "cancel", "skip"])
@pytest.mark.parametrize("missed", ["skip", "once", "all"])
@pytest.mark.parametrize("after", [False, True])
async def test_a_daemon_that_dies_at_any_write_has_each_run_once(missed: Any, overlap: Any, after: bool) -> None:
    planned = schedule(missed=missed, overlap=overlap)
    for writes in range(8):
        box = Box()
        link = Crashing(box.store, [writes], after=after)
        with suppress(StoreBroken):
            async with box.daemon(planned, link=link):
                while link.alive and box.clock.now() < NOON + timedelta(minutes=8):
                    await a_moment(box)
                assert not link.alive
        died_at = box.clock.now()
        async with box.daemon(planned):
            for _ in range(20):
                await a_moment(box)
        last = (box.clock.now() - NOON) // timedelta(minutes=1)
        assert await box.runs() == [f"12:{minute:02}" for minute in range(last + 1)], (writes, died_at)


async def a_moment(box: Box) -> None:
    """Ten seconds, in which the jobs end before the next ones come."""
    await box.end_all()
    await box.clock.advance(10)
