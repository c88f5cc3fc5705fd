"""Job types as they are served: their limits, what runs and waits of them, and where they come from."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from secondunit.queue.handler import HandlerSpec
from secondunit.queue.service import Queue
from secondunit.queue.store import Store


@dataclass(frozen=True, slots=True)
class ServedType:
    """One type. `concurrency` is what counts at the next claim."""

    spec: HandlerSpec
    concurrency: int
    running: int
    queued: int
    paused: bool
    source: str


class ServedTypes:
    """Lists the job types; `sources` says of each where its code is."""

    def __init__(self, queue: Queue, store: Store, sources: Mapping[str, str]) -> None:
        self._queue = queue
        self._store = store
        self._sources = sources

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
            )
            for type, spec in sorted(queue.registry.items())
        ]
