"""Timetable: the schedules of the file, how each stands, and which of them want a turn."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from secondunit.daemon.automation import schedule_rules as rules
from secondunit.daemon.automation.schedule_rules import Schedule
from secondunit.queue.clock import Clock
from secondunit.queue.model import Event, JobId
from secondunit.queue.ports.schedules import ScheduleState
from secondunit.queue.value import Value


class NoSuchSchedule(Exception):
    """The file has no schedule of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no schedule is called {name[:100]!r}; `secondunit schedule list` names them all")


class PlannedSchedule(Value, frozen=True):
    """A schedule as the file has it, and as it stands: when it comes next, and how its last job does."""

    schedule: Schedule
    state: ScheduleState
    next_at: datetime | None
    last_status: str | None


class Timetable:
    """What is kept of the schedules, in memory; `news` are those of which a job may have ended, uncounted."""

    def __init__(self, schedules: Iterable[Schedule], clock: Clock) -> None:
        self.schedules: Mapping[str, Schedule] = {schedule.name: schedule for schedule in schedules}
        self.states: dict[str, ScheduleState] = {}
        self.news: set[str] = set()
        self._clock = clock
        self._next: dict[str, datetime | None] = {}
        self._of_job: dict[JobId, str] = {}

    def named(self, name: str) -> Schedule:
        """The schedule of this name; NoSuchSchedule."""
        try:
            return self.schedules[name]
        except KeyError:
            raise NoSuchSchedule(name) from None

    def set(self, state: ScheduleState) -> None:
        """From now on it stands like this; a job of it that is new here may have ended already, unheard."""
        name, before = state.name, self.states.get(state.name)
        self.states[name] = state
        self._next[name] = rules.next_at(self.schedules[name], state)
        known = {*before.open_jobs} if before else set[JobId]()
        for id in known.difference(state.open_jobs):
            self._of_job.pop(id, None)
        for id in state.open_jobs:
            self._of_job[id] = name
        if not known.issuperset(state.open_jobs):
            self.news.add(name)

    def hear(self, events: Sequence[Event]) -> bool:
        """Whether one of these is the end of a schedule's job."""
        ended = {self._of_job[event.job_id] for event in events if event.job_id in self._of_job and event.status.ended}
        self.news |= ended
        return bool(ended)

    def waiting(self, now: datetime) -> Sequence[str]:
        """The schedules that are due, or have news."""
        return [name for name, at in self._next.items() if (at is not None and at <= now) or name in self.news]

    def next_due(self, now: datetime) -> datetime | None:
        """When the first of those becomes due that are not."""
        return min((at for at in self._next.values() if at is not None and at > now), default=None)

    def standing(self, name: str, statuses: Mapping[JobId, str]) -> PlannedSchedule:
        """How it stands, while these are the statuses of jobs."""
        state = self.states[name]
        last = statuses.get(state.last_job or "", state.last_status)
        return PlannedSchedule(self.schedules[name], state, self._next[name], last)

    @property
    def stopped(self) -> Mapping[str, str]:
        """The schedules that come no more though nobody paused them, each with the reason."""
        now = self._clock.now()
        reasons = {name: rules.stopped(state, now) for name, state in self.states.items()}
        return {name: why for name, why in reasons.items() if why is not None}
