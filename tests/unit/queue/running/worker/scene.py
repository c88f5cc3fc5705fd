"""A worker over the reference store, and handlers that a test holds."""

import asyncio
from collections import Counter
from typing import Any

from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.model import JobId
from secondunit.testing.rig import spec


class Stage:
    """Handlers that run until they are told to finish; knows what runs."""

    def __init__(self) -> None:
        self.order: list[int] = []
        self.types: Counter[str] = Counter()
        self.jobs: Counter[JobId] = Counter()
        self.finish: dict[int, asyncio.Event] = {}

    def spec(self, type: str, concurrency: int = 1, **fields: Any) -> HandlerSpec:
        async def run(ctx: JobContext, payload: Any) -> None:
            self.order.append(payload.n)
            self.types[type] += 1
            self.jobs[ctx.job_id] += 1
            try:
                await self.finish.setdefault(payload.n, asyncio.Event()).wait()
            finally:
                self.types[type] -= 1
                self.jobs[ctx.job_id] -= 1

        return spec(type, run, concurrency=concurrency, **fields)

    @property
    def running(self) -> dict[str, int]:
        return {type: count for type, count in self.types.items() if count}
