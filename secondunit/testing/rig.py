"""Test rig: a queue and its worker in one process, on a clock that a test moves: everything but the sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from secondunit.queue.handler import HandlerSpec, JobContext, Registry, Workspace
from secondunit.queue.hub import Hub
from secondunit.queue.instrumentation import Fact, HandlerRaised
from secondunit.queue.model import Change, Filter, Job, JobId, Submission
from secondunit.queue.payloads.locality import ANYWHERE, Locality
from secondunit.queue.running.execution import Runtime
from secondunit.queue.running.worker import Worker
from secondunit.queue.service import Queue
from secondunit.queue.state import QueueLimits
from secondunit.testing.clock import ManualClock
from secondunit.testing.faulty_store import FaultyStore
from secondunit.testing.jobs import BOOT, TTL

F = TypeVar("F", bound=Fact)
Run = Callable[[JobContext, Any], Awaitable[Any]]


class Numbered(BaseModel):
    """The payload of jobs that a test doesn't look into."""

    n: int = 0


def spec(type: str, run: Run, **fields: Any) -> HandlerSpec:
    """A job type that takes `Numbered` payloads, one at a time unless told."""
    return HandlerSpec(type, fields.pop("payload", Numbered), run, **fields)


class SteadyRandom:
    """Chance that adds nothing to a delay, and bytes that never repeat."""

    def __init__(self) -> None:
        self._drawn = 0

    def random(self) -> float:
        """Always 0."""
        return 0.0

    def randbytes(self, n: int, /) -> bytes:
        """The next number."""
        self._drawn += 1
        return self._drawn.to_bytes(n, "big")


class RecordedFolders:
    """Workspaces that are written down only: `opened` by epoch, `closed` with whether the job had ended."""

    def __init__(self) -> None:
        self.opened: list[tuple[JobId, int]] = []
        self.closed: list[tuple[JobId, int, bool]] = []
        self.refusal: Exception | None = None

    async def open(self, job: Job) -> Workspace:
        """Folders that are not there; or the refusal."""
        if self.refusal:
            raise self.refusal
        self.opened.append((job.id, job.epoch))
        folder = Path("work") / job.id
        return Workspace(folder / f"run-{job.epoch}", folder / "kept", folder / "log")

    async def close(self, job: Job, *, ended: bool) -> None:
        """Write it down."""
        self.closed.append((job.id, job.epoch, ended))


class Rig:
    """The parts, put together as the daemon does it."""

    def __init__(
        self,
        *specs: HandlerSpec,
        most: int = 5,
        limits: QueueLimits = QueueLimits(),
        alive: Callable[[], Collection[str]] = tuple,
        traced: bool = False,
        locality: Locality = ANYWHERE,
    ) -> None:
        self.clock = ManualClock()
        self.store = FaultyStore()
        self.facts: list[Fact] = []
        self.hub = Hub(self.facts.append)
        self.folders = RecordedFolders()
        self.store.listen(self.hub.publish)
        self.registry = Registry(specs)
        rng = SteadyRandom()
        self.runtime = Runtime(
            self.store,
            self.hub,
            self.clock,
            rng,
            self.folders,
            self.facts.append,
            alive,
            traced,
            locality=locality,
        )
        self.worker = Worker(self.runtime, self.registry, boot=BOOT, ttl=TTL, most=most, locality=locality)
        self.queue = Queue(
            self.store,
            self.registry,
            self.hub,
            self.clock,
            rng,
            stop=self.worker.stop_run,
            lose=self.worker.lose,
            coming=self.worker.look,
            limits=limits,
            locality=locality,
        )

    @property
    def errors(self) -> list[BaseException]:
        """What handlers raised."""
        return [fact.error for fact in self.facts if isinstance(fact, HandlerRaised)]

    def heard(self, kind: type[F]) -> list[F]:
        """The facts of this kind that were announced."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    async def submit(self, type: str, n: int = 0, **fields: Any) -> JobId:
        """A new job's id."""
        job, _ = await self.queue.submit(Submission(type, {"n": n}, **fields))
        return job.id

    async def job(self, job_id: JobId) -> Job:
        """The job as it stands."""
        return await self.store.get(job_id)

    async def names(self, job_id: JobId) -> list[str]:
        """What happened to the job."""
        return [event.name for event in await self.store.events(0, Filter(ids=[job_id]), 1000)]

    @asynccontextmanager
    async def working(self) -> AsyncIterator[asyncio.Task[None]]:
        """The worker runs, with everything that could start started; at the end it is cancelled."""
        task = asyncio.create_task(self.worker.run())
        await self.clock.settle()
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def change(self, job_id: JobId, move: Callable[..., Change], *arguments: Any) -> Job:
        """Make one of state's moves."""
        return await self.store.change(job_id, lambda job: move(job, *arguments))
