"""Job types as they are served: their limits, what runs and waits of them, and where they come from."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from secondunit.queue.handler import HandlerSpec
from secondunit.queue.remote.workers import SeenWorker
from secondunit.queue.service import Queue
from secondunit.queue.store import Store
from secondunit.queue.value import Value

Workers = Callable[[str], Awaitable[Sequence[SeenWorker]]]


async def none(_: str) -> Sequence[SeenWorker]:
    """Nobody was seen."""
    return ()


class ServedType(Value, frozen=True):
    """One type. `concurrency` is what counts at the next claim; `workers` are the remote ones that take its jobs."""

    spec: HandlerSpec
    concurrency: int
    running: int
    queued: int
    paused: bool
    source: str
    workers: Sequence[SeenWorker] = ()


class ServedTypes:
    """Lists the job types; `sources` says of each where its code is."""

    def __init__(self, queue: Queue, store: Store, sources: Mapping[str, str], workers: Workers = none) -> None:
        self._queue = queue
        self._store = store
        self._sources = sources
        self._workers = workers

    async def __call__(self) -> Sequence[ServedType]:
        """All that are served, by name."""
        queue = self._queue
        counts, paused, limits = await asyncio.gather(queue.counts(), queue.paused(), self._store.limits())
        return [
            ServedType(
                spec,
                limits.get(type, spec.concurrency),
                counts.running.get(type, 0),
                counts.queued.get(type, 0),
                type in paused,
                self._sources.get(type, "unknown"),
                await self._workers(type),
            )
            for type, spec in sorted(queue.registry.items())
        ]
