"""Row mapping: a column table for each kind of value, times as integer microseconds, the rest as JSON.

A new field of a value is a line in its table here and one in a migration.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from msgspec.structs import astuple

from secondunit.queue.model import Bonds, Event, Idempotency, Job, Lease, Notice, Run, Status, Suspicion, Target
from secondunit.queue.outcome import JobError
from secondunit.queue.payloads.json_text import dump, load
from secondunit.queue.phases import Phase
from secondunit.queue.ports.deliveries import Try
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.store import Delivery, Step
from secondunit.queue.stores.columns import Codec, Column, Part, Row, decoder, encoder, names, several
from secondunit.queue.value import replace

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
STATUSES = {status.value: status for status in Status}


@lru_cache(maxsize=1024)  # of one job's times a few are written again and again
def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


def moment(at: int) -> datetime:
    """The time that `micros` counted."""
    return EPOCH + timedelta(microseconds=at)


def moment_or_none(at: int | None) -> datetime | None:
    """As `moment`, None for None."""
    return None if at is None else EPOCH + timedelta(microseconds=at)


def dump_or_none(value: Any) -> str | None:
    """JSON text, None for None."""
    return None if value is None else dump(value)


def _length(span: timedelta) -> int:
    return span // MICROSECOND


@lru_cache(maxsize=64)  # of retry policies and timeouts: few are ever used
def _span(length: int) -> timedelta:
    return timedelta(microseconds=length)


def _error(fields: Any) -> JobError:
    return JobError(*fields)


def load_error(text: str) -> JobError:
    """An error from its column."""
    return JobError(*load(text))


TIME, TIME_OR_NONE = Codec(micros, moment), Codec(micros, moment, "None")
SPAN, SPAN_OR_NONE = Codec(_length, _span), Codec(_length, _span, "None")
WORKED = Codec(lambda span: span // MICROSECOND or None, lambda length: timedelta(microseconds=length or 0))
JSON, JSON_OR_NONE, JSON_OR_EMPTY = Codec(dump, load), Codec(dump, load, "None"), Codec(dump, load, "{}")
BOOL, STATUS = Codec(int, bool), Codec(None, STATUSES.__getitem__)
PHASE = (Column("name"), Column("at", TIME), Column("took", SPAN_OR_NONE))
PHASES, PHASES_TEXT = several(Phase, PHASE, list, tuple), several(Phase, PHASE, dump, load)
ERROR = Codec(astuple, _error, "None")  # within JSON
ERROR_TEXT = Codec(lambda error: dump(astuple(error)), load_error, "None")

# Lists and not objects, since a job's history is written at each of its ends; a new column comes last.
RUN = (
    Column("attempt"),
    Column("epoch"),
    Column("started_at", TIME),
    Column("finished_at", TIME),
    Column("outcome"),
    Column("error", ERROR),
    Column("took", SPAN),
    Column("why"),
    Column("receipt"),
    Column("phases", PHASES),
    Column("box"),
)
TOOK = 6
SUSPICION_PARTS = (
    Column("boot"),
    Column("beside"),
    Column("progress"),
    Column("lived", SPAN),
    Column("entered_at", TIME),
)
_run_values = encoder(RUN)
_run_from = lru_cache(maxsize=8)(
    lambda length: decoder(Run, RUN[:length])
)  # of older runs the last columns are not there


def _dump_runs(runs: Any) -> str:
    return dump([_run_values(run) for run in runs])


def _load_runs(text: str) -> tuple[Run, ...]:
    return tuple(map(_run, load(text)))


def _run(row: Row) -> Run:
    run: Run = _run_from(len(row))(row)
    if len(row) > TOOK:
        return run
    return replace(run, took=max(run.finished_at - run.started_at, timedelta(0)))  # nobody had measured it


_suspicion_values = encoder(SUSPICION_PARTS)
_suspicion_from = decoder(Suspicion, SUSPICION_PARTS)
SUSPICION = Codec(lambda value: dump(_suspicion_values(value)), lambda text: _suspicion_from(load(text)), "None")
BONDS = Codec(lambda bonds: dump(astuple(bonds)), lambda text: Bonds(*load(text)), "None")


def _delayed(job: Job) -> int:
    """Whether a claim has yet to see its time come."""
    return 1 if job.run_at is not None and job.status is Status.QUEUED else 0


def _ready_at(job: Job) -> int:
    return micros(job.updated_at if job.run_at is None or job.status is not Status.QUEUED else job.run_at)


@lru_cache(maxsize=64)
def _policy(max_retries: int, backoff: Any, initial_delay: timedelta) -> RetryPolicy:
    return RetryPolicy(max_retries, backoff, initial_delay)


FIXED = (  # what never changes after submission, but for secrets that are struck out of the payload
    Column("id"),
    Column("type"),
    Column("priority"),
    Column("payload", JSON),
    Column("source"),
    Column("labels", JSON_OR_EMPTY),
    Column("created_at", TIME),
    Column("max_retries", of="retry.max_retries"),
    Column("backoff", of="retry.backoff"),
    Column("initial_delay", SPAN, of="retry.initial_delay"),
    Column("timeout", SPAN_OR_NONE),
    Column("target_kind", of="target?.kind"),
    Column("target_address", of="target?.address"),
    Column("idempotency_key", of="idempotency?.key"),
    Column("idempotency_digest", of="idempotency?.digest"),
    Column("dedupe_key"),
    Column("submitted_by"),
    Column("owner"),
    Column("bonds", BONDS),
    Column("batch"),
)
PLACE = (  # where in the line a job is
    Column("delayed", computed=_delayed),
    Column("ready_at", computed=_ready_at),
)
MOVING = (
    Column("status", STATUS, of="status.value"),
    Column("updated_at", TIME),
    Column("run_at", TIME_OR_NONE),
    Column("started_at", TIME_OR_NONE),
    Column("finished_at", TIME_OR_NONE),
    Column("attempt"),
    Column("reclaims"),
    Column("interruptions"),
    Column("epoch"),
    Column("boot", of="lease?.boot"),
    Column("lease_until", TIME, of="lease?.until"),
    Column("cancel_requested", BOOL),
    Column("progress"),
    Column("phase"),
    Column("message"),
    Column("result", JSON_OR_NONE),
    Column("missing", JSON_OR_NONE),
    Column("error", ERROR_TEXT),
    Column("stats", JSON_OR_NONE),
    Column("sharers"),
    Column("runs", Codec(_dump_runs, _load_runs, "()")),
    Column("first_started_at", TIME_OR_NONE),
    Column("worked", WORKED),
    Column("suspicion", SUSPICION),
    Column("entered_at", TIME_OR_NONE),
    Column("waiting_for", Codec(absent="0")),
    Column("followed", Codec(int, bool, "False")),
    Column("phases", PHASES_TEXT),
    Column("box"),
    *PLACE,
)
JOB = (Column("seq"), *FIXED, *MOVING)
JOB_PARTS = (
    Part("retry", _policy, "max_retries backoff initial_delay"),
    Part("target", Target, "target_kind target_address"),
    Part("idempotency", Idempotency, "idempotency_key idempotency_digest"),
    Part("lease", Lease, "id epoch boot lease_until"),
)
JOB_COLUMNS = ", ".join(names(JOB))
WIDE = ("payload", "labels", "bonds", "phase", "message", "result", "missing", "error", "stats", "runs", "phases")
fixed_values: Callable[[Job], Row] = encoder(FIXED)
moving_values: Callable[[Job], Row] = encoder(MOVING)
_job_from = decoder(Job, JOB, JOB_PARTS)


def job_from(row: Row) -> Job:
    """A job from a row of JOB; of one that is older than these columns, its first start and the time of all runs."""
    job: Job = _job_from(row)
    if job.first_started_at or job.worked or not (job.runs or job.started_at):
        return job
    first = job.runs[0].started_at if job.runs else job.started_at
    return replace(job, first_started_at=first, worked=sum((run.took for run in job.runs), timedelta(0)))


EVENT = (
    Column("seq"),
    Column("name"),
    Column("at", TIME),
    Column("status", STATUS, of="status.value"),
    Column("progress"),
    Column("phase"),
    Column("message"),
    Column("attempt"),
    Column("error", ERROR_TEXT),
    Column("run_at", TIME_OR_NONE),
    Column("duration", SPAN_OR_NONE),
)
event_values: Callable[[Event], Row] = encoder(EVENT)
# from a row of EVENT, then the job's id, type and owner
event_from: Callable[[Row], Event] = decoder(Event, (*EVENT, Column("job_id"), Column("job_type"), Column("owner")))

NOTICE = (
    Column("kind", of="target.kind"),
    Column("address", of="target.address"),
    Column("job_id"),
    Column("job_type"),
    Column("status", STATUS, of="status.value"),
    Column("epoch"),
    Column("at", TIME),
    Column("result"),
    Column("error", ERROR),
    Column("duration", Codec(_length, lambda length: timedelta(microseconds=length), "None")),
    Column("source"),
    Column("labels"),
)
_notice_values = encoder(NOTICE)
_notice_from = decoder(Notice, NOTICE, [Part("target", Target, "kind address")])


def dump_notice(notice: Notice) -> str:
    """A notice as JSON, an object with a member for each column."""
    return dump(dict(zip(names(NOTICE), _notice_values(notice), strict=True)))


def load_notice(text: str) -> Notice:
    """What `dump_notice` wrote."""
    notice: Notice = _notice_from([*map(load(text).get, names(NOTICE))])
    return notice


TRY = (Column("at", TIME), Column("took", SPAN), Column("status"), Column("error"))

DELIVERY_MOVING = (
    Column("state"),
    Column("attempts"),
    Column("created_at", TIME),
    Column("next_at", TIME_OR_NONE),
    Column("finished_at", TIME_OR_NONE),
    Column("last_status"),
    Column("last_error"),
    Column("tries", several(Try, TRY, dump, load)),
)
DELIVERY = (Column("id"), Column("notice", Codec(dump_notice, load_notice)), *DELIVERY_MOVING)
DELIVERY_COLUMNS = ", ".join(names(DELIVERY))
delivery_values: Callable[[Delivery], Row] = encoder(DELIVERY_MOVING)
delivery_from: Callable[[Row], Delivery] = decoder(Delivery, DELIVERY)

STEP = (
    Column("name"),
    Column("done", BOOL),
    Column("result", JSON_OR_NONE),
    Column("sends"),
    Column("at", TIME),
    Column("files", JSON_OR_NONE),
)
STEP_COLUMNS = ", ".join(names(STEP))
step_from: Callable[[Row], Step] = decoder(Step, (*STEP, Column("job_id")))  # from a row of STEP, then the job's id
