"""Prometheus exposition: what was counted, and what stands in and around the queue at the moment of the scrape."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from math import nan

from prometheus_client import Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from secondunit.daemon.files.backups import Copy
from secondunit.daemon.monitoring.prometheus.families import OTHER, Family
from secondunit.daemon.monitoring.prometheus.metrics import Metrics
from secondunit.queue.clock import Clock
from secondunit.queue.errors import StoreBroken
from secondunit.queue.model import Counts
from secondunit.queue.ports.boxes import STATES
from secondunit.queue.sight.boxes import SeenBox
from secondunit.queue.store import Store

UNDELIVERED = ("pending", "dead")


@dataclass(frozen=True, slots=True)
class Standing:
    """Whom a scrape asks beside the store; what is left out is not scraped.

    `slots` is how many jobs of a type may run at once where no operator said otherwise, `budget` gives today's tokens,
    those used and those allowed, `disks` the bytes free by name, `lanes` how many receivers of deliveries are in each
    state, `polled` when the backend last gave its list (None inside: never yet). `sandbox` says which layers hold,
    `boxes` how those are that share the queue.
    """

    slots: Mapping[str, int] = field(default_factory=dict)
    info: Mapping[str, str] = field(default_factory=dict)
    sandbox: Mapping[str, bool] = field(default_factory=dict)
    budget: Callable[[], Awaitable[tuple[int, int] | None]] | None = None
    disks: Callable[[], Mapping[str, int]] = dict
    lanes: Callable[[], Mapping[str, int]] = dict
    polled: Callable[[], datetime | None] | None = None
    backup: Callable[[], Awaitable[Copy | None]] | None = None
    boxes: Callable[[], Awaitable[Sequence[SeenBox]]] | None = None


class Exposition:
    """The text that is scraped; idle types show zero, and figures of a queue that can't be read are missing."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, metrics: Metrics, store: Store, clock: Clock, standing: Standing = Standing()) -> None:
        self._known = metrics.known
        self._registry = metrics.families.registry
        self._store = store
        self._clock = clock
        self._standing = standing
        self._scraped: list[Family[Gauge]] = []
        self._describe_queue(metrics)
        self._describe_box(metrics)

    def _describe_queue(self, metrics: Metrics) -> None:
        def gauge(name: str, text: str, *labels: str) -> Family[Gauge]:
            self._scraped.append(metrics.families.gauge(name, text, *labels))
            return self._scraped[-1]

        self._running = gauge("jobs_running", "Jobs that are being worked on.", "type")
        self._queued = gauge("jobs_queued", "Jobs that wait, those in backoff among them.", "type")
        self._slots = gauge("job_slots", "How many jobs of the type may run at once.", "type")
        self._paused = gauge("types_paused", "Whether an operator has paused the type.", "type")
        self._oldest = gauge("queue_oldest_seconds", "How long the oldest job that could run has been waiting.")
        self._writes = gauge("writer_queue_length", "Writes that wait for the database's one writer.")
        self._outbox = gauge("deliveries_undelivered", "Deliveries that are pending, and those given up.", "state")
        self._lanes = gauge("delivery_lanes", "Receivers with something to get, by how they answer.", "state")
        self._boxes = gauge("boxes", "Daemons that share the queue, this one among them, by how they are.", "state")
        self._tokens = gauge("llm_budget_tokens", "Today's tokens (UTC): used, and the limit.", "state")

    def _describe_box(self, metrics: Metrics) -> None:
        def gauge(name: str, text: str, *labels: str) -> Family[Gauge]:
            self._scraped.append(metrics.families.gauge(name, text, *labels))
            return self._scraped[-1]

        self._info = gauge("info", "Always 1: what runs here.", *sorted(self._standing.info))
        self._layers = gauge("sandbox", "Whether this layer of the sandbox is in force.", "layer")
        self._free = gauge("disk_free_bytes", "Bytes free on the disk of DATA_DIR (`data`) or of a root.", "disk")
        polled = "When the backend last gave its list, in Unix seconds; 0 before the first time. Active mode only."
        self._polled = gauge("poll_last_success_timestamp_seconds", polled)
        self._age = gauge("backup_age_seconds", "Age of the newest backup; NaN while none is known.")
        self._verified = gauge("backup_verified", "Whether the newest backup was read again and found whole.")

    async def render(self) -> bytes:
        """All metrics as Prometheus text."""
        for family in self._scraped:
            family.clear()
        self._oldest.labels().set(nan)
        self._show_box()
        with suppress(StoreBroken):  # what else is known is scraped all the same, and that it is broken
            await self._show_store()
        return await asyncio.to_thread(generate_latest, self._registry)  # it reads figures of the process from /proc

    def _show_box(self) -> None:
        standing = self._standing
        if standing.info:
            self._info.labels(*(standing.info[name] for name in sorted(standing.info))).set(1)
        _set(self._layers, standing.sandbox)
        _set(self._free, standing.disks())
        _set(self._lanes, standing.lanes())
        self._writes.labels().set(self._store.engine.waiting)
        if standing.polled:
            at = standing.polled()
            self._polled.labels().set(at.timestamp() if at else 0)

    async def _show_store(self) -> None:
        self._show(await self._store.counts())
        limits, paused = await self._store.limits(), await self._store.paused()
        _set(self._slots, {type: limits.get(type, slots) for type, slots in self._standing.slots.items()})
        _set(self._paused, {type: type in paused for type in self._known.types})
        deliveries = await self._store.outbox.counts()
        _set(self._outbox, {state: deliveries.get(state, 0) for state in UNDELIVERED})
        if self._standing.boxes:
            states = Counter(box.state for box in await self._standing.boxes())
            _set(self._boxes, {state: states[state] for state in STATES})
        if self._standing.budget and (budget := await self._standing.budget()):
            _set(self._tokens, dict(zip(("used", "limit"), budget, strict=True)))
        if self._standing.backup:
            last = await self._standing.backup()
            self._age.labels().set((self._clock.now() - last.made).total_seconds() if last else nan)
            self._verified.labels().set(bool(last and last.verified))

    def _show(self, counts: Counts) -> None:
        for gauge, numbers in ((self._queued, counts.queued), (self._running, counts.running)):
            _set(gauge, _summed(numbers, self._known.types))
        oldest = counts.oldest_ready
        self._oldest.labels().set(max((self._clock.now() - oldest).total_seconds(), 0) if oldest else 0)


def _set(family: Family[Gauge], figures: Mapping[str, float]) -> None:
    for label, figure in figures.items():
        family.labels(label).set(figure)


def _summed(numbers: Mapping[str, int], types: Iterable[str]) -> Mapping[str, int]:
    """Figures of the served types, and of all others together if there are any."""
    known = {type: numbers.get(type, 0) for type in types}
    rest = sum(number for type, number in numbers.items() if type not in known)
    return known | ({OTHER: rest} if rest else {})
