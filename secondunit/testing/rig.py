"""A queue and its worker in one process, on a clock that a test moves: everything but the sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from secondunit.queue.context import Hooks
from secondunit.queue.errors import StoreBroken, StoreFull
from secondunit.queue.execution import House
from secondunit.queue.handler import HandlerSpec, JobContext, Registry, Workspace
from secondunit.queue.hub import Hub
from secondunit.queue.model import Change, Filter, Job, JobId, Lease
from secondunit.queue.service import Queue, Submission
from secondunit.queue.store import Decide
from secondunit.queue.stores.memory import MemoryStore
from secondunit.queue.worker import Worker
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import BOOT, TTL

Run = Callable[[JobContext, Any], Awaitable[Any]]


class Numbered(BaseModel):
    """The payload of jobs that a test doesn't look into."""

    n: int = 0


def spec(type: str, run: Run, **fields: Any) -> HandlerSpec:
    """A job type that takes `Numbered` payloads, one at a time unless told."""
    return HandlerSpec(type, fields.pop("payload", Numbered), run, **fields)


class Chance:
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


class FaultyStore(MemoryStore):
    """A store whose next writes can be refused (`full`, `broken`) and whose claims can be held on their way back."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.broken = False
        self.refused = 0
        self.claims = 0
        self.on_the_way = asyncio.Event()
        self.arrive = asyncio.Event()
        self.arrive.set()

    async def change(self, job_id: JobId, decide: Decide, *, lease: Lease | None = None) -> Job:
        self._judge()
        return await super().change(job_id, decide, lease=lease)

    async def claim(self, *arguments: Any) -> Any:
        self.claims += 1
        self._judge()
        jobs = await super().claim(*arguments)
        self.on_the_way.set()
        await self.arrive.wait()
        return jobs

    async def extend(self, *arguments: Any) -> Any:
        self._judge()
        return await super().extend(*arguments)

    async def shift(self, delta: timedelta) -> None:
        self._judge()
        await super().shift(delta)

    async def prune(self, *arguments: Any) -> Any:
        self._judge()
        return await super().prune(*arguments)

    async def age(self, *arguments: Any) -> int:
        self._judge()
        return await super().age(*arguments)

    def _judge(self) -> None:
        self.refused += self.full or self.broken
        if self.broken:
            raise StoreBroken("the disk is gone")
        if self.full:
            raise StoreFull("the disk is full")


class Rig:
    """The parts, put together as the daemon does it."""

    def __init__(self, *specs: HandlerSpec, most: int = 5, max_queued: int = 1_000, hooks: Hooks | None = None) -> None:
        self.clock = ManualClock()
        self.store = FaultyStore()
        self.hub = Hub()
        self.folders = RecordedFolders()
        self.errors: list[BaseException] = []
        self.store.listen(self.hub.publish)
        self.registry = Registry(specs)
        chance = Chance()
        self.house = House(
            self.store,
            self.hub,
            self.clock,
            chance,
            self.folders,
            hooks or Hooks(),
            lambda job, error: self.errors.append(error),
        )
        self.worker = Worker(self.house, self.registry, boot=BOOT, ttl=TTL, most=most)
        self.queue = Queue(
            self.store,
            self.registry,
            self.hub,
            self.clock,
            chance,
            interrupt=self.worker.stop_job,
            coming=self.worker.look,
            max_queued=max_queued,
        )

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
