"""Scheduler: the loop that submits a job whenever a schedule of the file says so, and what operators may do to one."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Literal, TypeVar

from secondunit.daemon.automation import schedule_rules as rules
from secondunit.daemon.automation.schedule_rules import Decision, Schedule
from secondunit.daemon.automation.timetable import PlannedSchedule, Timetable
from secondunit.daemon.cron import upcoming
from secondunit.queue.clock import Clock
from secondunit.queue.errors import Draining, JobNotFound, NotAllowed, Saturated, ScheduleChanged
from secondunit.queue.follow import slim
from secondunit.queue.instrumentation import Fact, Sink, unheard
from secondunit.queue.model import Event, Filter, Job, JobId
from secondunit.queue.payloads.secret_fields import account_of
from secondunit.queue.ports.access import AuditEntry, AuditTrail
from secondunit.queue.ports.duties import ALONE, Tenure
from secondunit.queue.ports.schedules import Schedules, ScheduleState, with_jobs
from secondunit.queue.running.nap import nap
from secondunit.queue.service import Queue

LOOK_EVERY = 10.0  # the clock may be set
TRY_AGAIN = 30.0
TRIES = 10
DUTY = "schedules"
T = TypeVar("T")


class ScheduleMoved(Fact, frozen=True):
    """What became of so many runs of a schedule (or of `more` than these), or of itself; `why` in words."""

    schedule: str
    what: Literal["submitted", "skipped", "missed", "refused", "put off", "paused", "resumed"]
    number: int = 1
    why: str | None = None
    more: bool = False


class Scheduler:
    """The loop. A run and the schedule's new state are one transaction, so no crash doubles a run or drops one."""

    def __init__(
        self,
        schedules: Sequence[Schedule],
        queue: Queue,
        store: Schedules,
        audit: AuditTrail,
        clock: Clock,
        emit: Sink = unheard,
        *,
        shared: bool = False,
    ) -> None:
        self.timetable = Timetable(schedules, clock)
        self._queue = queue
        self._store = store
        self._audit = audit
        self._clock = clock
        self._emit = emit
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._busy: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._woken = asyncio.Event()
        self._shared = shared
        self._tenure: Tenure | None = None

    @property
    def stopped(self) -> Mapping[str, str]:
        """The schedules that come no more though nobody paused them, while they are run here; each with the reason."""
        return {} if self._shared and self._tenure is None else self.timetable.stopped

    async def start(self) -> None:
        """Take up what an earlier life of the daemon left, or, where others share it, see how it stands."""
        if self._shared:
            await self._look()
        else:
            await self._take_up(ALONE)

    async def _take_up(self, tenure: Tenure) -> None:
        """Be who runs them. A schedule that is not in the file any more is forgotten."""
        kept = await self._look()
        if gone := sorted(kept.keys() - self.timetable.schedules.keys()):
            await self._store.drop(gone, duty=tenure.duty)
        states = self.timetable.states.values()
        if fresh := [state for state in states if state != kept.get(state.name)]:
            await self._store.put(fresh, duty=tenure.duty)
            for state in fresh:
                self._set(state.written)

    async def _look(self) -> Mapping[str, ScheduleState]:
        """See what other boxes made of them: all that are kept."""
        before = dict(self.timetable.states)
        kept = {state.name: state for state in await self._store.all()}
        for name, schedule in self.timetable.schedules.items():
            stands = self.timetable.states.get(name)
            moved = name in kept and stands is not None and kept[name].revision != stands.revision
            if (moved or stands is None) and stands is before.get(name):  # else it was moved here while it was read
                self._set(rules.begun(schedule, kept.get(name), self._clock.now()))
        return kept

    def hear(self, events: Sequence[Event]) -> None:
        """A tap of the hub: a job that ended may be a schedule's."""
        if self.timetable.hear(events):
            self._woken.set()

    async def run(self, tenure: Tenure = ALONE) -> None:
        """Look for ever after each schedule that is due, or of which a job ended; one does not wait for another.

        DutyLost once another box does.
        """
        self._tenure, self._busy = tenure, set()
        try:
            if self._shared:
                await self._take_up(tenure)
            await self._run()
        finally:
            self._tenure = None

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as turns:
            while True:
                self._woken.clear()
                if self._shared:
                    await self._look()
                now = self._clock.now()
                for name in self._waiting(now):
                    self._busy.add(name)
                    turns.create_task(self._turn(name))
                await nap(self._woken, self._clock, self._rest(now))

    async def all(self) -> Sequence[PlannedSchedule]:
        """Each schedule, in the file's order."""
        if self._shared:
            await self._look()
        return await self._standings(self.timetable.schedules)

    def upcoming(self, name: str, number: int) -> Sequence[datetime]:
        """The next times of a schedule, paused or not; NoSuchSchedule."""
        schedule, state = self.timetable.named(name), self.timetable.states[name]
        return upcoming(schedule.cron, max(state.since, self._clock.now()), number)

    async def run_now(self, name: str) -> Job:
        """Submit a job of the schedule at once, paused or not, whatever else of it runs; NoSuchSchedule, QueueError."""
        schedule = self.timetable.named(name)

        async def run() -> Job:
            before = self.timetable.states[name]
            if len(before.open_jobs) >= rules.MOST_OPEN:
                raise Saturated(f"{len(before.open_jobs)} jobs of this schedule are not done; try again later")
            state = rules.run(before, self._clock.now())
            [(job, _)] = await self._queue.submit_all([rules.by_hand(schedule)], state)
            self._set(with_jobs(state, [job.id]).written)
            return job

        job = await self._by_hand(name, run)
        self._emit(ScheduleMoved(name, "submitted"))
        return job

    async def pause(self, name: str) -> PlannedSchedule:
        """Have it come no more until `resume`; NoSuchSchedule."""
        return await self._moved_by_hand(name, rules.paused, "paused")

    async def resume(self, name: str) -> PlannedSchedule:
        """Let it come again, from now on; NoSuchSchedule."""
        return await self._moved_by_hand(name, lambda state: rules.resumed(state, self._clock.now()), "resumed")

    async def _moved_by_hand(
        self, name: str, move: Callable[[ScheduleState], ScheduleState], what: Literal["paused", "resumed"]
    ) -> PlannedSchedule:
        self.timetable.named(name)
        await self._by_hand(name, lambda: self._put(move(self.timetable.states[name]), ALONE))
        self._emit(ScheduleMoved(name, what, why=rules.BY_HAND if what == "paused" else None))
        self._woken.set()
        [standing] = await self._standings([name])
        return standing

    async def _by_hand(self, name: str, move: Callable[[], Awaitable[T]]) -> T:
        """What somebody asks for here, whichever box runs the schedules; as often as another box gets in between."""
        for _ in range(TRIES):
            async with self._locks[name]:
                if self._shared:
                    await self._look()
                with suppress(ScheduleChanged):
                    return await move()
        raise Saturated(f"the schedule {name} is moved by another box all the time; try again")

    async def _standings(self, names: Iterable[str]) -> Sequence[PlannedSchedule]:
        states = {name: self.timetable.states[name] for name in names}
        jobs = [state.last_job for state in states.values() if state.last_job]
        found = self._queue.each(Filter(ids=jobs), len(jobs))
        statuses = {job.id: job.status.value async for job in found} if jobs else {}
        return [self.timetable.standing(name, statuses) for name in states]

    async def _put(self, state: ScheduleState, tenure: Tenure) -> None:
        if state != self.timetable.states[state.name]:
            await self._store.put([state], duty=tenure.duty)
            self._set(state.written)

    @property
    def _held(self) -> Tenure:
        return self._tenure or ALONE

    def _set(self, state: ScheduleState) -> None:
        self.timetable.set(state)
        self._woken.set()

    def _waiting(self, now: datetime) -> Sequence[str]:
        """The schedules that want a turn, and may have one."""
        at, waiting = self._clock.monotonic(), self.timetable.waiting(now)
        return [name for name in waiting if name not in self._busy and self._not_before.get(name, at) <= at]

    def _rest(self, now: datetime) -> float:
        """Seconds until the next of the others is due, if that is soon."""
        at = self.timetable.next_due(now)
        return LOOK_EVERY if at is None else min((at - now).total_seconds(), LOOK_EVERY)

    async def _turn(self, name: str) -> None:
        schedule = self.timetable.schedules[name]
        try:
            async with self._locks[name]:
                self.timetable.news.discard(name)
                await self._settle(schedule)
                await self._come(schedule)
        except ScheduleChanged:
            self.timetable.news.add(name)  # somebody paused or ran it elsewhere: the next look shows that
        except rules.LATER as error:
            self.timetable.news.add(name)
            if name not in self._not_before:
                self._emit(ScheduleMoved(name, "put off", why=str(error)))
            self._not_before[name] = self._clock.monotonic() + TRY_AGAIN
        else:
            self._not_before.pop(name, None)
        finally:
            self._busy.discard(name)
            self._woken.set()

    async def _settle(self, schedule: Schedule) -> None:
        """Count the ends of its jobs."""
        before = self.timetable.states[schedule.name]
        if before.open_jobs:
            found = self._queue.each(Filter(ids=before.open_jobs), len(before.open_jobs))
            await self._judged(rules.settled(schedule, before, [slim(job) async for job in found]))

    async def _judged(self, state: ScheduleState) -> None:
        """Keep a state that may have become a paused one by failures."""
        before = self.timetable.states[state.name]
        await self._put(state, self._held)
        if state.paused and not before.paused:
            self._emit(ScheduleMoved(state.name, "paused", why=state.why))

    async def _come(self, schedule: Schedule) -> None:
        """Do what is due."""
        name, now = schedule.name, self._clock.now()
        decision = rules.decided(schedule, self.timetable.states[name], now)
        if decision is None:
            return
        if self._queue.draining:  # before anything is cancelled for the sake of what can't be submitted
            raise Draining("the daemon is shutting down")
        if decision.cancels:
            await self._cancel(decision.cancels)
            await self._settle(schedule)
            if self.timetable.states[name].paused:  # the one that was to be cancelled failed before
                return
        state = rules.moved(self.timetable.states[name], decision, now)
        if decision.runs:
            await self._submit(schedule, decision, state)
        else:
            await self._put(state, self._held)
            if decision.skipped:
                self._emit(ScheduleMoved(name, "skipped", why=decision.why))
        if decision.missed:
            self._emit(ScheduleMoved(name, "missed", decision.missed, decision.why, decision.more))

    async def _cancel(self, ids: Sequence[JobId]) -> None:
        for id in ids:
            with suppress(NotAllowed, JobNotFound):  # it ended by itself
                await self._queue.cancel(id)

    async def _submit(self, schedule: Schedule, decision: Decision, state: ScheduleState) -> None:
        try:
            asked = rules.submissions(schedule, decision.runs)
            stored = await self._queue.submit_all(asked, state, duty=self._held.duty)
        except rules.REFUSED as error:
            self._emit(ScheduleMoved(schedule.name, "refused", len(decision.runs), str(error)))
            await self._judged(rules.refused(schedule, self.timetable.states[schedule.name], decision, str(error)))
            return
        self._set(with_jobs(state, [job.id for job, _ in stored]).written)
        self._emit(ScheduleMoved(schedule.name, "submitted", len(stored)))
        if (spec := self._queue.registry[schedule.submission.type]).audited:
            for job, _ in stored:
                told = account_of(job, spec.secrets)
                await self._audit.add(AuditEntry(self._clock.now(), None, rules.SOURCE, job.type, job.id, told))
