"""Crash simulator: a process of the queue that drains, hangs or crashes at any point, on a store that outlives it."""

import asyncio
from datetime import timedelta
from typing import Any

from secondunit.queue.errors import StoreBroken
from secondunit.queue.handler import Registry
from secondunit.queue.hub import Hub
from secondunit.queue.running import leases
from secondunit.queue.running.execution import Runtime
from secondunit.queue.running.worker import Worker
from secondunit.queue.service import Queue
from secondunit.queue.store import Store
from secondunit.testing.clock import ManualClock
from secondunit.testing.rig import RecordedFolders, SteadyRandom

TTL = timedelta(seconds=30)


class StoreLink:
    """A process's way to the store, or to a part of it: once `cut` holds something, nothing gets through."""

    def __init__(self, end: Any, cut: list[str]) -> None:
        self._end = end
        self._cut = cut

    def __getattr__(self, name: str) -> Any:
        there = getattr(self._end, name)
        if name in ("steps", "outbox", "cache"):
            return StoreLink(there, self._cut)
        if not asyncio.iscoroutinefunction(there):
            return there

        async def call(*args: Any, **kwargs: Any) -> Any:
            if self._cut:
                raise StoreBroken(self._cut[0])
            return await there(*args, **kwargs)

        return call


class Process:
    """A queue, a worker and its heartbeat under one boot id; at most one of them lives at a time."""

    def __init__(
        self, store: Store, clock: ManualClock, rng: SteadyRandom, registry: Registry, boot: str, most: int
    ) -> None:
        self.cut: list[str] = []
        self.link: Any = StoreLink(store, self.cut)
        self.hub = Hub()
        store.listen(self.hub.publish)
        runtime = Runtime(self.link, self.hub, clock, rng, RecordedFolders())
        self.worker = Worker(runtime, registry, boot=boot, ttl=TTL, most=most)
        look, stop, lose = self.worker.look, self.worker.stop_run, self.worker.lose
        self.queue = Queue(self.link, registry, self.hub, clock, rng, stop=stop, lose=lose, coming=look)
        self.clock = clock
        self.tasks: list[asyncio.Task[Any]] = []

    async def start(self) -> None:
        """Free what earlier processes left, then claim and beat."""
        await leases.reclaim(self.link, self.clock, self.worker.boot)
        self.tasks = [
            asyncio.create_task(self.worker.run()),
            asyncio.create_task(leases.keep(self.worker, self.link, self.clock)),
        ]

    def check(self) -> None:
        """Raise what a loop died of."""
        for task in self.tasks:
            if task.done():
                task.result()

    async def drain(self) -> None:
        """End as at SIGTERM: twenty seconds for what runs, then what is left goes back; must be done five later."""
        drain = asyncio.create_task(self.worker.drain(20))
        await self.clock.advance(21)
        try:
            await drain
        except TimeoutError:
            self.worker.stop_all("the daemon stops")
            await self.clock.advance(5)
        assert self.tasks[0].done() and not self.worker.leases(), "runs went on after the drain"
        await self.kill()

    async def kill(self) -> None:
        """End as at SIGKILL: nothing that runs here reaches the store any more."""
        self.cut.append("this process is dead")
        for _ in range(4):
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await self.clock.settle()
