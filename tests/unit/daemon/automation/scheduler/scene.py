"""The scheduler over a queue."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from secondunit.daemon.automation.schedule_rules import Schedule
from secondunit.daemon.automation.scheduler import ScheduleMoved, Scheduler
from secondunit.daemon.cron import Cron
from secondunit.queue import state
from secondunit.queue.errors import (
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
