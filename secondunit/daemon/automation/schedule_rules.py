"""Rules of schedules: which runs are due, missed or in each other's way, and what an end makes of a schedule. Pure."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from secondunit.daemon.cron import Cron, passed, upcoming
from secondunit.daemon.formats import instant
from secondunit.queue.errors import (
    BadDependencies,
    BadPayload,
    Draining,
    KeyReused,
    NotAllowed,
    Saturated,
    StoreFull,
    TypeBroken,
    TypeUnavailable,
    UnknownType,
)
from secondunit.queue.model import Idempotency, Job, JobId, Status, Submission
from secondunit.queue.outcome import Deterministic, Postponed, Transient
from secondunit.queue.ports.schedules import ScheduleState
from secondunit.queue.value import Value, replace

Missed = Literal["skip", "once", "all"]
Overlap = Literal["skip", "queue", "cancel"]
LATER = (StoreFull, Draining, Saturated, Transient, Postponed)
REFUSED = (BadPayload, BadDependencies, UnknownType, TypeUnavailable, TypeBroken, Deterministic, KeyReused, NotAllowed)
SOURCE = "schedule"
ON_TIME = timedelta(minutes=1)  # no two runs of a schedule are nearer; a restart takes less
MOST_CAUGHT_UP = 100
MOST_OPEN = 100
BY_HAND = "paused by hand"


class Schedule(Value, frozen=True):
    """A schedule as the file has it; `pause_after` so many failures in a row it pauses, 0 is never."""

    name: str
    cron: Cron
    submission: Submission
    missed: Missed = "once"
    overlap: Overlap = "skip"
    pause_after: int = 0


class Decision(Value, frozen=True):
    """What comes of the times up to `since`: `runs` are submitted, after these `cancels`; others were `missed`.

    `more`, if still more were, of an older time than is looked back to. `skipped`, if the run is left out because an
    earlier one is not done; `why` says what was left out.
    """

    since: datetime
    runs: Sequence[datetime]
    cancels: Sequence[JobId] = ()
    missed: int = 0
    more: bool = False
    skipped: bool = False
    why: str | None = None


def begun(schedule: Schedule, state: ScheduleState | None, now: datetime) -> ScheduleState:
    """The state at a start: a new schedule counts from now, and so does one that comes at other times than it did."""
    cron, timezone = schedule.cron.expression, schedule.cron.zone.key
    if state is None:
        return ScheduleState(schedule.name, cron, timezone, now)
    if (state.cron, state.timezone) == (cron, timezone):
        return state
    return replace(state, cron=cron, timezone=timezone, since=now)


def next_at(schedule: Schedule, state: ScheduleState) -> datetime | None:
    """When it comes next; None while it is paused."""
    if state.paused:
        return None
    return next(iter(upcoming(schedule.cron, state.since, 1)), None)


def decided(schedule: Schedule, state: ScheduleState, now: datetime) -> Decision | None:
    """What is due by now, and what comes of it; None for nothing.

    What was due before a minute ago is missed: nobody was there. Runs that are caught up on don't overlap each other.
    """
    times = () if state.paused else passed(schedule.cron, state.since, now, MOST_CAUGHT_UP + 1)
    if not times:
        return None
    since, more = times[-1], len(times) > MOST_CAUGHT_UP
    runs = _wanted(schedule.missed, times[-MOST_CAUGHT_UP:], now)
    missed = len(times) - len(runs)
    if not runs:
        return Decision(since, (), missed=missed, more=more, why=f"{_named(times, more)} missed, and `missed` is skip")
    if state.open_jobs and (schedule.overlap == "skip" or len(state.open_jobs) >= MOST_OPEN):
        why = f"{_named(runs)} skipped, since {state.open_jobs[-1]} of an earlier run was not done"
        return Decision(since, (), missed=missed, more=more, skipped=True, why=why)
    return Decision(since, runs, state.open_jobs if schedule.overlap == "cancel" else (), missed, more)


def _wanted(missed: Missed, times: Sequence[datetime], now: datetime) -> Sequence[datetime]:
    match missed:
        case "all":
            return times
        case "once":
            return times[-1:]
    return [at for at in times[-1:] if at > now - ON_TIME]


def _named(times: Sequence[datetime], more: bool = False) -> str:
    if len(times) == 1:
        return f"the run of {instant(times[0])} was"
    many = f"{len(times)} runs or more, the newest" if more else f"{len(times)} runs,"
    return f"{many} from {instant(times[0])} to {instant(times[-1])}, were"


def submissions(schedule: Schedule, runs: Sequence[datetime]) -> Sequence[Submission]:
    """The jobs of these runs. A run's idempotency key is its schedule's name and its time, whatever the job is by now.

    No client's key holds a blank, so none is taken for a run.
    """
    keys = [f"{SOURCE} {schedule.name} {instant(at)}" for at in runs]
    return [
        replace(by_hand(schedule), idempotency=Idempotency(key, hashlib.sha256(key.encode()).digest())) for key in keys
    ]


def by_hand(schedule: Schedule) -> Submission:
    """The job of a run that somebody asks for."""
    labels = {SOURCE: schedule.name}
    return replace(schedule.submission, source=SOURCE, submitted_by=f"{SOURCE} {schedule.name}", labels=labels)


def moved(state: ScheduleState, decision: Decision, now: datetime) -> ScheduleState:
    """The state once this was done; the store adds the jobs."""
    if not decision.runs:
        return replace(state, since=decision.since, why=decision.why)
    return run(replace(state, since=decision.since), now)


def run(state: ScheduleState, now: datetime) -> ScheduleState:
    """The state after a submission; the store adds the jobs."""
    return replace(state, last_at=now, last_status=None, why=state.why if state.paused else None)


def refused(schedule: Schedule, state: ScheduleState, decision: Decision, why: str) -> ScheduleState:
    """The state after a run that the queue refuses, whenever it is asked: it counts as failed."""
    at = replace(state, since=decision.since, failures=state.failures + 1)
    return _judged(schedule, replace(at, why=f"{_named(decision.runs)} refused: {why}"))


def settled(schedule: Schedule, state: ScheduleState, found: Sequence[Job]) -> ScheduleState:
    """The state, by what is found of its open jobs: ends count in their order, a cancelled one is none."""
    ended = [job for job in found if job.status.ended and job.finished_at]
    for job in sorted(ended, key=lambda job: (job.finished_at, job.seq)):
        if job.status is Status.FAILED:
            told = f"{job.id} failed: {job.error.message if job.error else 'nothing is known of why'}"
            failed = replace(state, failures=state.failures + 1)
            state = failed if state.paused else _judged(schedule, replace(failed, why=told))
        elif job.status is not Status.CANCELLED:
            state = replace(state, failures=0, why=state.why if state.paused else None)
        if job.id == state.last_job:
            state = replace(state, last_status=job.status.value)
    live = {job.id for job in found if not job.status.ended}
    return replace(state, open_jobs=[id for id in state.open_jobs if id in live])


def _judged(schedule: Schedule, state: ScheduleState) -> ScheduleState:
    if not 0 < schedule.pause_after <= state.failures:
        return state
    row = "1 run failed" if state.failures == 1 else f"{state.failures} runs in a row failed"
    return replace(state, paused=True, why=f"paused, since {row}; the last: {state.why}")


def paused(state: ScheduleState) -> ScheduleState:
    """The state once somebody paused it."""
    return state if state.paused else replace(state, paused=True, why=BY_HAND)


def resumed(state: ScheduleState, now: datetime) -> ScheduleState:
    """The state once somebody let it go on: it counts from now, and its failures from 0.

    So it does where a clock that was wrong has led it into the future.
    """
    since = now if state.paused or state.since > now else state.since
    return replace(state, paused=False, failures=0, why=None, since=since)


def stopped(state: ScheduleState, now: datetime) -> str | None:
    """Why it comes no more though nobody paused it: its failures, or a clock that was set back."""
    if state.paused:
        return None if state.why == BY_HAND else state.why
    if state.since > now + ON_TIME:
        return f"the clock was set back, and what comes before {instant(state.since)} is done"
    return None
