"""Prometheus metrics: an instrumentation sink that counts what happens, as it happens."""

from collections import Counter as Counts
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from math import nan
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from secondunit.daemon.automation.backend_results import brought_result
from secondunit.daemon.automation.poller import BackendJobs, Polled
from secondunit.daemon.delivery.dispatcher import DeliveryTried
from secondunit.daemon.monitoring.conditions import ConditionsSeen
from secondunit.daemon.monitoring.http_requests import (
    ConnectionShed,
    ConnectionsOpen,
    RequestAnswered,
    RequestMalformed,
)
from secondunit.daemon.process.lifecycle import LogLinesLost, LoopLagged
from secondunit.handlers.tools.gemini.client import TokensUsed
from secondunit.handlers.tools.geocoding.client import PlaceSought
from secondunit.queue.clock import Clock
from secondunit.queue.instrumentation import Fact, JobsMoved, PhaseEnded, StepInDoubt
from secondunit.queue.model import Event, JobId

PREFIX = "secondunit"
WORK = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
REQUEST = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
WAITING_KEPT = 10_000
END_STATUSES = ("completed", "partial", "failed", "cancelled")
Series = TypeVar("Series", Counter, Histogram)
F = TypeVar("F", bound=Fact)


class Metrics:
    """The sink, with a registry of its own. A metric is one entry below: its family, and the fact that moves it."""

    def __init__(self, clock: Clock) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(namespace=PREFIX, registry=self.registry)
        self._clock = clock
        self._listeners: dict[type[Fact], Callable[[Fact], None]] = {}
        self._ready: OrderedDict[JobId, float] = OrderedDict()
        self._count_jobs()
        self._count_work()
        self._count_errands()
        self._count_loop()

    def __call__(self, fact: Fact) -> None:
        """Count this fact, if something counts its kind."""
        listener = self._listeners.get(type(fact))
        if listener is not None:
            listener(fact)

    def _on(self, kind: type[F], count: Callable[[F], None]) -> None:
        self._listeners[kind] = count  # type: ignore[assignment]  # it is called with facts of this kind only

    def _count_jobs(self) -> None:
        self._jobs = self._counter("jobs", "Jobs that ended.", "type", "status")
        self._duration = self._histogram("job_duration_seconds", "One run of a job.", WORK, "type")
        self._wait = self._histogram("job_wait_seconds", "From being ready to being started.", WORK, "type")
        self._on(JobsMoved, self._jobs_moved)

        phases = self._histogram("phase_duration_seconds", "One phase of a run.", WORK, "type", "phase")
        self._on(PhaseEnded, lambda phase: phases.labels(phase.type, phase.phase).observe(phase.seconds))

    def _count_work(self) -> None:
        tokens = self._counter("llm_tokens", "Tokens of the answers of language models.", "direction")

        def used(fact: TokensUsed) -> None:
            tokens.labels("in").inc(fact.usage.prompt)
            tokens.labels("out").inc(fact.usage.answered)

        self._on(TokensUsed, used)

        doubts = self._counter("llm_maybe_charged", "Paid calls whose answer was lost, found at a later run.")
        self._on(StepInDoubt, lambda _: doubts.labels().inc())

        geocoded = self._counter("geocoded", "Places that the geocoder was asked for.", "outcome")
        ratio = self._gauge("geocode_success_ratio", "Share of those places that it found; NaN at first.")
        ratio.set(nan)
        places: Counts[str] = Counts()

        def sought(place: PlaceSought) -> None:
            geocoded.labels(place.outcome).inc()
            places[place.outcome] += 1
            ratio.set(places["found"] / places.total())

        self._on(PlaceSought, sought)

    def _count_errands(self) -> None:
        polls = self._counter("poll", "Polls of the backend.", "outcome")
        self._on(Polled, lambda poll: polls.labels(poll.outcome).inc())

        backend_jobs = self._counter("backend_jobs", "Failed analyses found, taken on, given back.", "what")
        self._on(BackendJobs, lambda jobs: backend_jobs.labels(jobs.what).inc(jobs.number))

        deliveries = self._counter("deliveries", "Tries to deliver a job's end.", "kind", "outcome")

        def tried(fact: DeliveryTried) -> None:
            deliveries.labels(fact.delivery.notice.target.kind, fact.outcome).inc()
            if brought_result(fact):
                backend_jobs.labels("delivered").inc()

        self._on(DeliveryTried, tried)

    def _count_loop(self) -> None:
        requests = self._histogram(
            "http_request_duration_seconds", "Answered requests.", REQUEST, "method", "route", "status"
        )
        self._on(RequestAnswered, lambda r: requests.labels(r.method, r.route, r.status).observe(r.seconds))

        malformed = self._counter("http_malformed", "What came over a connection and was no request.", "kind")
        self._on(RequestMalformed, lambda fact: malformed.labels(fact.kind).inc())

        shed = self._counter("http_connections_shed", "Connections and event streams cut or not let in.", "why")
        self._on(ConnectionShed, lambda fact: shed.labels(fact.why).inc())

        connections = self._gauge("http_connections", "Open connections.", "listener")
        self._on(ConnectionsOpen, lambda fact: connections.labels(fact.listener).set(fact.number))

        lag = self._gauge("event_loop_lag_seconds", "How late the event loop last ran what was due.")
        self._on(LoopLagged, lambda fact: lag.set(fact.seconds))

        lost = self._counter("log_lines_lost", "Lines of the log that nobody took.")
        self._on(LogLinesLost, lambda fact: lost.labels().inc(fact.number))
        lost.labels()

        degraded = self._gauge("degraded", "1 for each reason why the daemon is not well.", "reason")

        def seen(fact: ConditionsSeen) -> None:
            degraded.clear()
            for condition in fact.conditions:
                degraded.labels(condition.word).set(1)

        self._on(ConditionsSeen, seen)

    def _jobs_moved(self, fact: JobsMoved) -> None:
        now = self._clock.monotonic()
        for event in fact.events:
            if event.name in END_STATUSES:
                self._jobs.labels(event.job_type, event.name).inc()
            self._time(event, now)

    def _time(self, event: Event, now: float) -> None:
        """Tell how long a run took, and work out how long jobs wait, but for those that waited before this process."""
        if event.duration is not None:
            self._duration.labels(event.job_type).observe(event.duration.total_seconds())
        if event.name == "started":
            ready = self._ready.pop(event.job_id, None)
            if ready is not None:
                self._wait.labels(event.job_type).observe(max(now - ready, 0.0))
            return
        if event.name in ("queued", "retrying", *END_STATUSES):
            self._ready.pop(event.job_id, None)
        if event.name in ("queued", "retrying"):
            self._ready[event.job_id] = now if event.run_at is None else now + self._until(event.run_at)
            if len(self._ready) > WAITING_KEPT:
                self._ready.popitem(last=False)

    def _until(self, at: datetime) -> float:
        return max((at - self._clock.now()).total_seconds(), 0.0)

    def _counter(self, name: str, text: str, *labels: str) -> "_Family[Counter]":
        return _Family(Counter(name, text, labels, namespace=PREFIX, registry=self.registry))

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace=PREFIX, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> "_Family[Histogram]":
        return _Family(Histogram(name, text, labels, namespace=PREFIX, registry=self.registry, buckets=buckets))


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
