"""OpenTelemetry spans of jobs, an instrumentation sink: each is made once it is over, its ids are worked out.

So a trace needs no memory: whatever a job came through, restarts among it, its spans find their places.

    submit hls                     the request that made the job; child of the caller's span, if it named one
      wait                         from then, or from the end of the run before, to the start of a run
      run hls                      one run; `phase`, `step`, `program` and `call` within it, as they are nested
      deliver callback             one try
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, set_span_in_context

from secondunit.daemon.delivery.dispatcher import DeliveryTried
from secondunit.daemon.monitoring.http_requests import RequestAnswered
from secondunit.daemon.trace_context import TraceParent, kept
from secondunit.queue.clock import Clock
from secondunit.queue.instrumentation import Fact, PieceDone, RunEnded, RunReclaimed
from secondunit.queue.model import Job, JobId, Run, Status
from secondunit.queue.store import Delivery
from secondunit.queue.value import Value

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNASKED = ("backend", "schedule")  # sources of jobs that no request made, of which nobody else tells
LOST = "lease lost"


class GivenIds(IdGenerator):
    """The ids that the next span is to have."""

    trace = span = 1

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span


class _Span(Value, frozen=True):
    """A span that is over: its `id` and its parent's within the job's trace; `fault` is a word for what went wrong."""

    name: str
    id: int
    parent: int
    begin: datetime
    end: datetime
    kind: SpanKind = SpanKind.INTERNAL
    fault: str | None = None
    figures: Mapping[str, Any] = {}


class Spans:
    """The sink; `provider` samples and exports, with the ids that `ids` gives."""

    def __init__(self, provider: TracerProvider, ids: GivenIds, clock: Clock) -> None:
        self._tracer = provider.get_tracer("secondunit")
        self._sampler = provider.sampler
        self._ids = ids
        self._clock = clock
        self._told: Mapping[type[Fact], Callable[[Any], None]] = {
            RequestAnswered: self._answered,
            PieceDone: self._done,
            RunEnded: self._ended,
            RunReclaimed: self._reclaimed,
            DeliveryTried: self._tried,
        }

    def __call__(self, fact: Fact) -> None:
        """Make the spans of what happened."""
        told = self._told.get(type(fact))
        if told is not None:
            told(fact)

    def sent_on(self, delivery: Delivery) -> str:
        """The `traceparent` that the next try of this delivery carries: its own span's."""
        notice = delivery.notice
        origin = self._origin(notice.job_id, notice.labels)
        return str(TraceParent(origin.trace, _try_id(delivery, delivery.attempts + 1), origin.sampled))

    def _answered(self, fact: RequestAnswered) -> None:
        if not fact.jobs:
            return
        end = self._clock.now()
        told = {
            "http.request.method": fact.method,
            "http.route": fact.route,
            "http.response.status_code": fact.status,
        }
        for job in fact.jobs:
            origin = self._origin(job.id, job.labels)
            begin, name = end - timedelta(seconds=fact.seconds), f"submit {job.type}"
            self._record(
                job.id,
                origin,
                _Span(name, _submit_id(job.id), origin.span, begin, end, SpanKind.SERVER, figures=told | _of(job)),
            )

    def _done(self, fact: PieceDone) -> None:
        job, end = fact.job, self._clock.now()
        parent = _piece_id(job, fact.within) if fact.within else _run_id(job.id, job.epoch)
        kind = SpanKind.CLIENT if fact.kind == "call" else SpanKind.INTERNAL
        figures = {f"secondunit.{fact.kind}.{name}": value for name, value in fact.figures.items()}
        begin, name = end - timedelta(seconds=fact.seconds), f"{fact.kind} {fact.name}"
        span = _Span(name, _piece_id(job, fact.mark), parent, begin, end, kind, fact.fault, figures)
        self._record(job.id, self._origin(job.id, job.labels), span)

    def _ended(self, fact: RunEnded) -> None:
        job, after = fact.began, fact.after
        if job.epoch == 1 and job.source.partition(" ")[0] in UNASKED:
            origin, made = self._origin(job.id, job.labels), job.created_at
            name, id = f"submit {job.type}", _submit_id(job.id)
            self._record(job.id, origin, _Span(name, id, origin.span, made, made, figures=_of(job)))
        now = self._clock.now()
        began = job.started_at or now
        if after is None or not after.runs:
            self._run(job, Run(job.attempt, job.epoch, began, now, LOST, took=now - began), job.runs)
        else:
            self._run(job, after.runs[-1], job.runs)

    def _reclaimed(self, fact: RunReclaimed) -> None:
        """A run whose daemon died told nothing of itself."""
        if fact.job.runs:
            self._run(fact.job, fact.job.runs[-1], fact.job.runs[:-1])

    def _run(self, job: Job, run: Run, before: Any) -> None:
        origin, parent = self._origin(job.id, job.labels), _submit_id(job.id)
        ready = before[-1].finished_at if before else job.created_at
        wait = _Span("wait", _id("wait", job.id, run.epoch), parent, min(ready, run.started_at), run.started_at)
        self._record(job.id, origin, wait)
        told = _of(job) | {
            "secondunit.run.attempt": run.attempt,
            "secondunit.run.epoch": run.epoch,
            "secondunit.run.outcome": run.outcome,
        }
        fault = None if run.outcome in (Status.COMPLETED, Status.PARTIAL) else run.error.type if run.error else None
        id, end = _run_id(job.id, run.epoch), run.started_at + run.took
        name = f"run {job.type}"
        self._record(job.id, origin, _Span(name, id, parent, run.started_at, end, SpanKind.CONSUMER, fault, told))

    def _tried(self, fact: DeliveryTried) -> None:
        if fact.seconds is None:
            return
        delivery, notice, end = fact.delivery, fact.delivery.notice, self._clock.now()
        told: dict[str, Any] = {
            "secondunit.job.id": notice.job_id,
            "secondunit.delivery.id": delivery.id,
            "secondunit.delivery.try": delivery.attempts,
            "secondunit.delivery.outcome": fact.outcome,
        }
        if delivery.last_status is not None:
            told["http.response.status_code"] = delivery.last_status
        fault = None if fact.outcome == "delivered" else str(delivery.last_status or "no answer")
        name, begin = f"deliver {notice.target.kind}", end - timedelta(seconds=fact.seconds)
        id, parent = _try_id(delivery, delivery.attempts), _submit_id(notice.job_id)
        span = _Span(name, id, parent, begin, end, SpanKind.CLIENT, fault, told)
        self._record(notice.job_id, self._origin(notice.job_id, notice.labels), span)

    def _origin(self, job_id: JobId, labels: Mapping[str, str]) -> TraceParent:
        """Where the job's trace comes from: its submitter, or nobody (span 0), and then its id names it."""
        if found := kept(labels):
            return found
        trace = _id("trace", job_id, size=16)
        decided = self._sampler.should_sample(None, trace, "").decision
        return TraceParent(trace, 0, decided is Decision.RECORD_AND_SAMPLE)

    def _record(self, job_id: JobId, origin: TraceParent, done: _Span) -> None:
        context = Context()
        if done.parent:
            flags = TraceFlags(TraceFlags.SAMPLED if origin.sampled else TraceFlags.DEFAULT)
            parent = SpanContext(origin.trace, done.parent, is_remote=True, trace_flags=flags)
            context = set_span_in_context(NonRecordingSpan(parent), context)
        self._ids.trace, self._ids.span = origin.trace, done.id
        figures = {"secondunit.job.id": job_id, **done.figures}
        span = self._tracer.start_span(done.name, context, done.kind, figures, start_time=_nanoseconds(done.begin))
        if done.fault is not None:
            span.set_attribute("error.type", done.fault)
            span.set_status(StatusCode.ERROR)
        span.end(_nanoseconds(done.end))


def _of(job: Job) -> dict[str, Any]:
    return {"secondunit.job.type": job.type, "secondunit.job.source": job.source}


def _submit_id(job_id: JobId) -> int:
    return _id("submit", job_id)


def _run_id(job_id: JobId, epoch: int) -> int:
    return _id("run", job_id, epoch)


def _piece_id(job: Job, mark: int) -> int:
    return _id("piece", job.id, job.epoch, mark)


def _try_id(delivery: Delivery, number: int) -> int:
    return _id("try", delivery.id, delivery.created_at.timestamp(), number)


def _id(*parts: object, size: int = 8) -> int:
    """An id of so many bytes, never 0, that is the same whenever it is worked out."""
    return int.from_bytes(blake2b("\n".join(map(str, parts)).encode(), digest_size=size).digest()) or 1


def _nanoseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1) * 1000
