"""Prometheus exposition: what was counted, and what stands in the queue at the moment of the scrape."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from math import nan

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from secondunit.daemon.monitoring.metrics import PREFIX
from secondunit.queue.clock import Clock
from secondunit.queue.errors import StoreBroken
from secondunit.queue.model import Counts
from secondunit.queue.store import Store


class Exposition:
    """The text that is scraped; idle `types` show zero, and figures of a queue that can't be read are missing.

    `budget` gives today's tokens, those used and those allowed, where there is a limit.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(
        self,
        registry: CollectorRegistry,
        store: Store,
        types: Collection[str],
        clock: Clock,
        budget: Callable[[], Awaitable[tuple[int, int] | None]] | None = None,
    ) -> None:
        self._registry = registry
        self._store = store
        self._types = types
        self._clock = clock
        self._budget = budget
        self._running = self._gauge("jobs_running", "Jobs that are being worked on.", "type")
        self._queued = self._gauge("jobs_queued", "Jobs that wait, those in backoff among them.", "type")
        self._paused = self._gauge("types_paused", "Whether an operator has paused the type.", "type")
        self._oldest = self._gauge("queue_oldest_seconds", "How long the oldest job that could run has been waiting.")
        self._tokens = self._gauge("llm_budget_tokens", "Today's tokens (UTC): used, and the limit.", "state")

    async def render(self) -> bytes:
        """All metrics as Prometheus text."""
        self._queued.clear()
        self._running.clear()
        self._paused.clear()
        self._oldest.set(nan)
        self._tokens.clear()
        with suppress(StoreBroken):  # what else is known is scraped all the same, and that it is broken
            self._show(await self._store.counts())
            paused = await self._store.paused()
            for type in {*self._types, *paused}:
                self._paused.labels(type).set(type in paused)
            if self._budget and (budget := await self._budget()):
                for state, tokens in zip(("used", "limit"), budget, strict=True):
                    self._tokens.labels(state).set(tokens)
        return await asyncio.to_thread(generate_latest, self._registry)  # it reads figures of the process from /proc

    def _show(self, counts: Counts) -> None:
        for gauge, numbers in ((self._queued, counts.queued), (self._running, counts.running)):
            for type in {*self._types, *numbers}:
                gauge.labels(type).set(numbers.get(type, 0))
        oldest = counts.oldest_ready
        self._oldest.set(max((self._clock.now() - oldest).total_seconds(), 0) if oldest else 0)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace=PREFIX, registry=self._registry)
