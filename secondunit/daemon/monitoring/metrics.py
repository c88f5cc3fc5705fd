"""Prometheus metrics: what happened is counted as it happens, what stands in the queue is asked for at each scrape."""

import asyncio
from collections import Counter as Counts
from collections import OrderedDict
from collections.abc import Collection, Sequence
from datetime import datetime
from math import nan
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from secondunit.queue.clock import Clock
from secondunit.queue.model import Event, JobId
from secondunit.queue.store import Store

PREFIX = "secondunit"
WORK = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
REQUEST = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
WAITING_KEPT = 10_000
Series = TypeVar("Series", Counter, Histogram)
END_STATUSES = ("completed", "partial", "failed", "cancelled")


class Metrics:
    """One daemon's metrics, in a registry of their own; also a tap of the hub, from which it learns of jobs."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, store: Store, types: Collection[str], clock: Clock) -> None:
        self._store = store
        self._types = types
        self._clock = clock
        self._registry = CollectorRegistry()
        ProcessCollector(namespace=PREFIX, registry=self._registry)
        self._jobs = self._counter("jobs", "Jobs that ended.", "type", "status")
        self._running = self._gauge("jobs_running", "Jobs that are being worked on.", "type")
        self._queued = self._gauge("jobs_queued", "Jobs that wait, those in backoff among them.", "type")
        self._oldest = self._gauge("queue_oldest_seconds", "How long the oldest job that could run has been waiting.")
        self._duration = self._histogram("job_duration_seconds", "One run of a job.", WORK, "type")
        self._phase = self._histogram("phase_duration_seconds", "One phase of a run.", WORK, "type", "phase")
        self._wait = self._histogram("job_wait_seconds", "From being ready to being started.", WORK, "type")
        self._deliveries = self._counter("deliveries", "Tries to deliver a job's end.", "kind", "outcome")
        self._polls = self._counter("poll", "Polls of the backend.", "outcome")
        self._backend_jobs = self._counter("backend_jobs", "Failed analyses found, taken on, given back.", "what")
        self._tokens = self._counter("llm_tokens", "Tokens of the answers of language models.", "direction")
        self._in_doubt = self._counter("llm_maybe_charged", "Paid calls whose answer was lost, found at a later run.")
        self._geocoded = self._counter("geocoded", "Places that the geocoder was asked for.", "outcome")
        self._geocode_ratio = self._gauge("geocode_success_ratio", "Share of those places that it found; NaN at first.")
        self._geocode_ratio.set(nan)
        self._degraded = self._gauge("degraded", "1 for each reason why the daemon is not well.", "reason")
        self._requests = self._histogram(
            "http_request_duration_seconds", "Answered requests.", REQUEST, "method", "route", "status"
        )
        self._lag = self._gauge("event_loop_lag_seconds", "How late the event loop last ran what was due.")
        self._places: Counts[str] = Counts()
        self._ready: OrderedDict[JobId, datetime] = OrderedDict()
        self._started: dict[JobId, datetime] = {}

    def __call__(self, events: Sequence[Event]) -> None:
        """Count what these events tell."""
        now = self._clock.now()
        for event in events:
            if event.name in END_STATUSES:
                self._jobs.labels(event.job_type, event.name).inc()
            self._time(event, now)

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered request; `route` is the path's template."""
        self._requests.labels(method, route, status).observe(seconds)

    def observe_delivery(self, kind: str, outcome: str) -> None:
        """One try of a delivery: "delivered", "later" or "dead"."""
        self._deliveries.labels(kind, outcome).inc()

    def observe_poll(self, outcome: str) -> None:
        """One poll of the backend: "ok", "error" or "refused"."""
        self._polls.labels(outcome).inc()

    def observe_backend_jobs(self, what: str, number: int) -> None:
        """So many analyses of the backend were "found", "taken" or "delivered"."""
        self._backend_jobs.labels(what).inc(number)

    def observe_phase(self, type: str, phase: str, seconds: float) -> None:
        """One phase of a run."""
        self._phase.labels(type, phase).observe(seconds)

    def observe_tokens(self, direction: str, tokens: int) -> None:
        """Tokens of one answer, "in" or "out"."""
        self._tokens.labels(direction).inc(tokens)

    def observe_doubt(self) -> None:
        """One paid call that was found in doubt."""
        self._in_doubt.labels().inc()

    def observe_geocode(self, outcome: str) -> None:
        """One place that the geocoder was asked for: "found", "not_found" or "failed"."""
        self._geocoded.labels(outcome).inc()
        self._places[outcome] += 1
        self._geocode_ratio.set(self._places["found"] / self._places.total())

    def observe_lag(self, seconds: float) -> None:
        """How late the event loop was."""
        self._lag.set(seconds)

    def degraded(self, reasons: Collection[str]) -> None:
        """These reasons hold now, and no others."""
        self._degraded.clear()
        for reason in reasons:
            self._degraded.labels(reason).set(1)

    async def render(self) -> bytes:
        """All metrics as Prometheus text."""
        counts = await self._store.counts()
        for gauge, numbers in ((self._queued, counts.queued), (self._running, counts.running)):
            gauge.clear()
            for type in {*self._types, *numbers}:
                gauge.labels(type).set(numbers.get(type, 0))
        oldest = counts.oldest_ready
        self._oldest.set(max((self._clock.now() - oldest).total_seconds(), 0) if oldest else 0)
        return await asyncio.to_thread(generate_latest, self._registry)  # it reads figures of the process from /proc

    def _time(self, event: Event, now: datetime) -> None:
        """Work out how long jobs wait and run; what began before this process is left out."""
        if event.name == "started":
            self._started[event.job_id] = now
            if ready := self._ready.pop(event.job_id, None):
                self._wait.labels(event.job_type).observe(max((now - ready).total_seconds(), 0.0))
            return
        if event.name in ("queued", "retrying", *END_STATUSES):
            self._ready.pop(event.job_id, None)
            if started := self._started.pop(event.job_id, None):
                self._duration.labels(event.job_type).observe((now - started).total_seconds())
        if event.name in ("queued", "retrying"):
            self._ready[event.job_id] = event.run_at or now
            if len(self._ready) > WAITING_KEPT:
                self._ready.popitem(last=False)

    def _counter(self, name: str, text: str, *labels: str) -> "_Family[Counter]":
        return _Family(Counter(name, text, labels, namespace=PREFIX, registry=self._registry))

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace=PREFIX, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> "_Family[Histogram]":
        return _Family(Histogram(name, text, labels, namespace=PREFIX, registry=self._registry, buckets=buckets))


class _Family(Generic[Series]):
    """A metric and its series; to look one up by its labels takes the library longer than to count in it."""

    def __init__(self, metric: Series) -> None:
        self._metric: Series = metric
        self._series: dict[tuple[object, ...], Series] = {}

    def labels(self, *values: object) -> Series:
        """The series of these labels."""
        series = self._series.get(values)
        if series is None:
            series = self._series[values] = self._metric.labels(*values) if values else self._metric
        return series
