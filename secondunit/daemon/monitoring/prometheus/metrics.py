"""Prometheus metrics: an instrumentation sink that counts what happens, as it happens."""

from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Callable, Collection
from datetime import datetime
from itertools import product
from math import nan
from typing import TypeVar, get_args

from secondunit.daemon.automation.backend import KIND as BACKEND
from secondunit.daemon.automation.backend_results import brought_result
from secondunit.daemon.automation.polls import BackendJobs, Polled
from secondunit.daemon.automation.scheduler import ScheduleMoved
from secondunit.daemon.delivery.dispatcher import DeliveryTried
from secondunit.daemon.delivery.webhooks import KIND as CALLBACK
from secondunit.daemon.monitoring.conditions import ConditionsSeen
from secondunit.daemon.monitoring.http_requests import (
    ConnectionShed,
    ConnectionsOpen,
    RequestAnswered,
    RequestMalformed,
)
from secondunit.daemon.monitoring.prometheus.families import Families, KnownLabels
from secondunit.daemon.process.lifecycle import LogLinesLost, LoopLagged
from secondunit.handlers.tools.gemini.client import TokensUsed
from secondunit.handlers.tools.gemini.prices import cost
from secondunit.handlers.tools.geocoding.client import PlaceSought
from secondunit.queue.clock import Clock
from secondunit.queue.instrumentation import Fact, JobsMoved, PhaseEnded, StepInDoubt
from secondunit.queue.model import Event, JobId
from secondunit.queue.outcome import ErrorClass
from secondunit.queue.remote.leasing import LeaseMoved

WORK = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
REQUEST = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
WAITING_KEPT = 5_000  # of a type
END_STATUSES = ("completed", "partial", "failed", "cancelled")
FAILED = ("failed", "retrying")
WAITS = ("queued", "retrying")
NOT_WAITING = ("queued", "retrying", *END_STATUSES)
F = TypeVar("F", bound=Fact)


class Metrics:
    """The sink, with a registry of its own. A metric is one entry below: its family, and the fact that moves it."""

    def __init__(self, clock: Clock, types: Collection[str] = ()) -> None:
        self.families = Families()
        self.known = KnownLabels(types)
        self._clock = clock
        self._listeners: dict[type[Fact], Callable[[Fact], None]] = {}
        self._ready: defaultdict[str, dict[JobId, float]] = defaultdict(dict)
        self._count_jobs()
        self._count_work()
        self._count_errands()
        self._count_loop()

    def serve(self, types: Collection[str]) -> None:
        """Name these job types from now on, counted from zero so that a rate sees the first one; others are `other`."""
        self.known.types = types
        for type, status, error in product(types, END_STATUSES, get_args(ErrorClass)):
            self._jobs.labels(type, status)
            self._failures.labels(type, error)
        for kind, outcome in product((CALLBACK, BACKEND), ("delivered", "later", "dead")):
            self._deliveries.labels(kind, outcome)
        for direction in ("in", "out"):
            self._tokens.labels(direction)
        for outcome in ("ok", "error", "refused"):
            self._polls.labels(outcome)

    def __call__(self, fact: Fact) -> None:
        """Count this fact, if something counts its kind."""
        listener = self._listeners.get(type(fact))
        if listener is not None:
            listener(fact)

    def _on(self, kind: type[F], count: Callable[[F], None]) -> None:
        self._listeners[kind] = count  # type: ignore[assignment]  # it is called with facts of this kind only

    def _count_jobs(self) -> None:
        new = self.families
        self._jobs = new.counter("jobs", "Jobs that ended.", "type", "status")
        self._failures = new.counter("job_failures", "Attempts that failed, by the error's class.", "type", "class")
        self._duration = new.histogram("job_duration_seconds", "One run of a job.", WORK, "type")
        wait = "From being ready to being started; of jobs that were queued before this start nothing is known."
        self._wait = new.histogram("job_wait_seconds", wait, WORK, "type")
        self._on(JobsMoved, self._jobs_moved)

        phases = new.histogram("phase_duration_seconds", "One phase of a run.", WORK, "type", "phase")
        type_of, phase_of = self.known.type, self.known.phase
        self._on(PhaseEnded, lambda f: phases.labels(type_of(f.type), phase_of(f.type, f.phase)).observe(f.seconds))

    def _count_work(self) -> None:
        new = self.families
        self._tokens = tokens = new.counter("llm_tokens", "Tokens of the answers of language models.", "direction")

        estimate = "What those tokens cost in US dollars by this version's price list; an unknown model costs nothing."
        dollars = new.counter("llm_cost_usd", estimate)
        dollars.labels()

        def used(fact: TokensUsed) -> None:
            tokens.labels("in").inc(fact.usage.prompt)
            tokens.labels("out").inc(fact.usage.answered)
            dollars.labels().inc(cost(fact.model, fact.usage, self._clock.now().date()) or 0)

        self._on(TokensUsed, used)

        doubts = new.counter("llm_maybe_charged", "Paid calls whose answer was lost, found at a later run.")
        doubts.labels()
        self._on(StepInDoubt, lambda _: doubts.labels().inc())

        geocoded = new.counter("geocoded", "Places that the geocoder was asked for.", "outcome")
        ratio = new.gauge("geocode_success_ratio", "Share of those places that it found; NaN at first.")
        ratio.labels().set(nan)
        places: Counts[str] = Counts()

        def sought(place: PlaceSought) -> None:
            geocoded.labels(place.outcome).inc()
            places[place.outcome] += 1
            ratio.labels().set(places["found"] / places.total())

        self._on(PlaceSought, sought)

    def _count_errands(self) -> None:
        new = self.families
        self._polls = polls = new.counter("poll", "Polls of the backend.", "outcome")
        self._on(Polled, lambda poll: polls.labels(poll.outcome).inc())

        backend_jobs = new.counter("backend_jobs", "Failed analyses found, taken on, given back.", "what")
        self._on(BackendJobs, lambda jobs: backend_jobs.labels(jobs.what).inc(jobs.number))

        runs = new.counter("schedule_runs", "What became of the runs of schedules.", "schedule", "outcome")
        leases = new.counter("leases", "What became of leases of remote workers.", "type", "what")
        self._on(LeaseMoved, lambda fact: leases.labels(self.known.type(fact.job.type), fact.what).inc())
        self._on(ScheduleMoved, lambda fact: runs.labels(fact.schedule, fact.what).inc(fact.number))

        self._deliveries = deliveries = new.counter("deliveries", "Tries to deliver a job's end.", "kind", "outcome")

        def tried(fact: DeliveryTried) -> None:
            deliveries.labels(fact.delivery.notice.target.kind, fact.outcome).inc()
            if brought_result(fact):
                backend_jobs.labels("delivered").inc()

        self._on(DeliveryTried, tried)

    def _count_loop(self) -> None:
        new = self.families
        requests = new.histogram(
            "http_request_duration_seconds", "Answered requests.", REQUEST, "method", "route", "status"
        )
        self._on(RequestAnswered, lambda r: requests.labels(r.method, r.route, r.status).observe(r.seconds))

        malformed = new.counter("http_malformed", "What came over a connection and was no request.", "kind")
        self._on(RequestMalformed, lambda fact: malformed.labels(fact.kind).inc())

        shed = new.counter("http_connections_shed", "Connections and event streams cut or not let in.", "why")
        self._on(ConnectionShed, lambda fact: shed.labels(fact.why).inc())

        connections = new.gauge("http_connections", "Open connections.", "listener")
        self._on(ConnectionsOpen, lambda fact: connections.labels(fact.listener).set(fact.number))

        lag = new.gauge("event_loop_lag_seconds", "How late the event loop last ran what was due.")
        self._on(LoopLagged, lambda fact: lag.labels().set(fact.seconds))

        lost = new.counter("log_lines_lost", "Lines of the log that nobody took.")
        self._on(LogLinesLost, lambda fact: lost.labels().inc(fact.number))
        lost.labels()

        degraded = new.gauge("degraded", "1 for each reason why the daemon is not well.", "reason")

        def seen(fact: ConditionsSeen) -> None:
            degraded.clear()
            for condition in fact.conditions:
                degraded.labels(condition.word).set(1)

        self._on(ConditionsSeen, seen)

    def _jobs_moved(self, fact: JobsMoved) -> None:
        now = self._clock.monotonic()
        ended: dict[tuple[str, str], int] = {}
        for event in fact.events:
            type = self.known.type(event.job_type)
            if event.name in END_STATUSES:
                ended[type, event.name] = ended.get((type, event.name), 0) + 1
            if event.error is not None and event.name in FAILED:
                self._failures.labels(type, event.error.kind).inc()
            self._time(event, type, now)
        for labels, n in ended.items():
            self._jobs.labels(*labels).inc(n)

    def _time(self, event: Event, type: str, now: float) -> None:
        """Tell how long a run took, and work out how long jobs wait, but for those that waited before this process."""
        if event.duration is not None:
            self._duration.labels(type).observe(event.duration.total_seconds())
        waiting = self._ready[type]
        if event.name == "started":
            ready = waiting.pop(event.job_id, None)
            if ready is not None:
                self._wait.labels(type).observe(max(now - ready, 0.0))
            return
        if event.name in NOT_WAITING:
            waiting.pop(event.job_id, None)
        # Of a crowd the first ones are measured, which start first; to forget those would measure nobody's wait.
        if event.name in WAITS and len(waiting) < WAITING_KEPT:
            waiting[event.job_id] = now if event.run_at is None else now + self._until(event.run_at)

    def _until(self, at: datetime) -> float:
        return max((at - self._clock.now()).total_seconds(), 0.0)
