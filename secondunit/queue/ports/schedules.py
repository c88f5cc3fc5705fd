"""Schedules, as kept: how far each has come, what became of its jobs, and the port that keeps that."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from secondunit.queue.ports.duties import Duty
from secondunit.queue.value import Value, replace


class ScheduleState(Value, frozen=True):
    """Where a schedule stands.

    What was due up to `since` is dealt with, by the `cron` and `timezone` of that time. `last_job` came `last_at`, and
    ended with `last_status` if it has. The end of its `open_jobs` is not counted yet; `failures` in a row are.
    `why` says why it is paused, or what was odd about its last run. Each write of it raises its `revision`.
    """

    name: str
    cron: str
    timezone: str
    since: datetime
    last_at: datetime | None = None
    last_job: str | None = None
    last_status: str | None = None
    paused: bool = False
    why: str | None = None
    failures: int = 0
    open_jobs: Sequence[str] = ()
    revision: int = 0

    @property
    def written(self) -> "ScheduleState":
        """As it is kept."""
        return replace(self, revision=self.revision + 1)


class Schedules(Protocol):
    """The state of each schedule, by its name. A run moves it together with its jobs: `Store.add`.

    What replaces a state is made of it, with its revision: if another stands there by now, ScheduleChanged.
    """

    async def all(self) -> Sequence[ScheduleState]:
        """All of them, by name."""
        ...

    async def put(self, states: Sequence[ScheduleState], *, duty: Duty | None = None) -> None:
        """Store them, each `written`, all or none. With a `duty` that is lost: DutyLost."""
        ...

    async def drop(self, names: Sequence[str], *, duty: Duty | None = None) -> None:
        """Forget these. With a `duty` that is lost: DutyLost."""
        ...


def with_jobs(state: ScheduleState, ids: Sequence[str]) -> ScheduleState:
    """The state after a run that these jobs are of."""
    jobs = list(dict.fromkeys([*state.open_jobs, *ids]))
    return replace(state, last_job=ids[-1] if ids else state.last_job, open_jobs=jobs)
