"""Fault-injecting store: it refuses its next writes, or holds its claims on their way back."""

import asyncio
from datetime import timedelta
from typing import Any

from secondunit.queue.errors import StoreBroken, StoreFull
from secondunit.queue.model import Counts, Job, JobId
from secondunit.queue.store import Decide
from secondunit.queue.stores.memory import MemoryStore


class FaultyStore(MemoryStore):
    """A store whose next writes can be refused (`full`, `broken`) and whose answers can be held on their way back.

    Claims wait for `arrive`, changes that no run makes for `answer`; those of runs, before they happen, for `settle`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.broken = False
        self.refused = 0
        self.claims = 0
        self.on_the_way = asyncio.Event()
        self.arrive = asyncio.Event()
        self.arrive.set()
        self.answer = asyncio.Event()
        self.answer.set()
        self.settle = asyncio.Event()
        self.settle.set()

    async def counts(self) -> Counts:
        if self.broken:
            raise StoreBroken("the disk is gone")
        return await super().counts()

    async def change(self, job_id: JobId, decide: Decide, **fenced: Any) -> Job:
        if fenced.get("lease") is not None:
            await self.settle.wait()
        self._judge()
        job = await super().change(job_id, decide, **fenced)
        if fenced.get("lease") is None:
            await self.answer.wait()
        return job

    async def claim(self, *arguments: Any, **named: Any) -> Any:
        self.claims += 1
        self._judge()
        jobs = await super().claim(*arguments, **named)
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
