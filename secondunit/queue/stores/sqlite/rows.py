"""Row mapping: one column list for jobs and events, times as integer microseconds, the rest as JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

from secondunit.queue.json_text import dump, load
from secondunit.queue.model import Event, Idempotency, Job, Lease, Notice, Run, Status, Target
from secondunit.queue.outcome import JobError
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.store import CacheEntry, Delivery, Step

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
Row = Sequence[Any]
STATUSES = {status.value: status for status in Status}

FIXED = """id type priority payload source labels created_at max_retries backoff initial_delay timeout
 target_kind target_address idempotency_key idempotency_digest dedupe_key""".split()
MOVING = """status updated_at run_at started_at finished_at attempt reclaims interruptions epoch
 boot lease_until cancel_requested progress phase message result missing error stats sharers runs
 delayed ready_at""".split()
PLACE = -2  # from here on they say where in the line a job is
JOB_COLUMNS = ", ".join(["seq", *FIXED, *MOVING])
EVENT_COLUMNS = "seq name at status progress phase message attempt error run_at".split()
DELIVERY_COLUMNS = "id, notice, state, attempts, created_at, next_at, finished_at, last_status, last_error"


def dump_or_none(value: Any) -> str | None:
    """JSON text, None for None."""
    return None if value is None else dump(value)


def load_or_none(text: str | None) -> Any:
    """What `dump_or_none` wrote."""
    return None if text is None else load(text)


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


def micros_or_none(at: datetime | None) -> int | None:
    """As `micros`, None for None."""
    return None if at is None else (at - EPOCH) // MICROSECOND


def moment(at: int) -> datetime:
    """The time that `micros` counted."""
    return EPOCH + timedelta(microseconds=at)


def moment_or_none(at: int | None) -> datetime | None:
    """As `moment`, None for None."""
    return None if at is None else EPOCH + timedelta(microseconds=at)


def fixed_values(job: Job) -> tuple[Any, ...]:
    """A job's values of FIXED: what never changes after submission."""
    retry, target, key = job.retry, job.target, job.idempotency
    return (
        job.id,
        job.type,
        job.priority,
        dump(job.payload),
        job.source,
        dump(job.labels) if job.labels else None,
        micros(job.created_at),
        retry.max_retries,
        retry.backoff,
        retry.initial_delay // MICROSECOND,
        None if job.timeout is None else job.timeout // MICROSECOND,
        target.kind if target else None,
        target.address if target else None,
        key.key if key else None,
        key.digest if key else None,
        job.dedupe_key,
    )


def moving_values(job: Job) -> tuple[Any, ...]:
    """A job's values of MOVING; a queued job with a `run_at` counts as delayed until a claim sees its time come."""
    delayed = job.status is Status.QUEUED and job.run_at is not None
    updated = micros(job.updated_at)
    run_at = micros_or_none(job.run_at)
    return (
        job.status.value,
        updated,
        run_at,
        micros_or_none(job.started_at),
        micros_or_none(job.finished_at),
        job.attempt,
        job.reclaims,
        job.interruptions,
        job.epoch,
        job.lease.boot if job.lease else None,
        micros(job.lease.until) if job.lease else None,
        int(job.cancel_requested),
        job.progress,
        job.phase,
        job.message,
        dump_or_none(job.result),
        dump_or_none(job.missing),
        dump_error(job.error),
        dump_or_none(job.stats),
        job.sharers,
        dump([_run_to_json(run) for run in job.runs]) if job.runs else None,
        int(delayed),
        run_at if delayed else updated,
    )


def job_from(row: Row) -> Job:
    """A job from a row of JOB_COLUMNS."""
    (seq, id, type, priority, payload, source, labels, created_at, max_retries, backoff, initial_delay, timeout,
     target_kind, target_address, idempotency_key, idempotency_digest, dedupe_key,
     status, updated_at, run_at, started_at, finished_at, attempt, reclaims, interruptions, epoch,
     boot, lease_until, cancel_requested, progress, phase, message, result, missing, error, stats, sharers, runs,
     _delayed, _ready_at,
     ) = row  # fmt: skip
    return Job(
        id=id,
        type=type,
        payload=load(payload),
        priority=priority,
        status=STATUSES[status],
        created_at=moment(created_at),
        updated_at=moment(updated_at),
        retry=_policy(max_retries, backoff, initial_delay),
        seq=seq,
        timeout=None if timeout is None else timedelta(microseconds=timeout),
        run_at=moment_or_none(run_at),
        started_at=moment_or_none(started_at),
        finished_at=moment_or_none(finished_at),
        attempt=attempt,
        reclaims=reclaims,
        interruptions=interruptions,
        epoch=epoch,
        lease=Lease(id, epoch, boot, moment(lease_until)) if boot is not None else None,
        cancel_requested=bool(cancel_requested),
        progress=progress,
        phase=phase,
        message=message,
        result=load_or_none(result),
        missing=load_or_none(missing),
        error=load_error(error),
        stats=load_or_none(stats),
        target=Target(target_kind, target_address) if target_kind is not None else None,
        idempotency=Idempotency(idempotency_key, idempotency_digest) if idempotency_key is not None else None,
        dedupe_key=dedupe_key,
        sharers=sharers,
        source=source,
        labels=load_or_none(labels) or {},
        runs=tuple(_run_from_json(run) for run in load(runs)) if runs else (),
    )


@lru_cache(maxsize=64)
def _policy(max_retries: int, backoff: Literal["exponential", "fixed"], initial_delay: int) -> RetryPolicy:
    return RetryPolicy(max_retries, backoff, timedelta(microseconds=initial_delay))


def event_values(event: Event) -> tuple[Any, ...]:
    """An event's values of EVENT_COLUMNS."""
    return (
        event.seq,
        event.name,
        micros(event.at),
        event.status.value,
        event.progress,
        event.phase,
        event.message,
        event.attempt,
        dump_error(event.error),
        micros_or_none(event.run_at),
    )


def event_from(row: Row) -> Event:
    """An event from a row of EVENT_COLUMNS, then the job's id and type."""
    seq, name, at, status, progress, phase, message, attempt, error, run_at, job_id, job_type = row
    return Event(
        job_id=job_id,
        job_type=job_type,
        name=name,
        at=moment(at),
        status=STATUSES[status],
        progress=progress,
        phase=phase,
        message=message,
        attempt=attempt,
        error=load_error(error),
        run_at=moment_or_none(run_at),
        seq=seq,
    )


def dump_notice(notice: Notice) -> str:
    """A notice as JSON, without what stands in the delivery's own columns."""
    return dump(
        {
            "kind": notice.target.kind,
            "address": notice.target.address,
            "job_id": notice.job_id,
            "job_type": notice.job_type,
            "status": notice.status.value,
            "epoch": notice.epoch,
            "at": micros(notice.at),
            "result": notice.result,
            "error": _error_to_json(notice.error),
            "duration": None if notice.duration is None else notice.duration // MICROSECOND,
            "source": notice.source,
            "labels": dict(notice.labels),
        }
    )


def load_notice(text: str) -> Notice:
    """What `dump_notice` wrote."""
    data = load(text)
    duration = data["duration"]
    return Notice(
        target=Target(data["kind"], data["address"]),
        job_id=data["job_id"],
        job_type=data["job_type"],
        status=Status(data["status"]),
        epoch=data["epoch"],
        at=moment(data["at"]),
        result=data["result"],
        error=_error_from_json(data["error"]),
        duration=None if duration is None else timedelta(microseconds=duration),
        source=data["source"],
        labels=data["labels"],
    )


def delivery_from(row: Row) -> Delivery:
    """A delivery from a row of DELIVERY_COLUMNS."""
    id, notice, state, attempts, created_at, next_at, finished_at, last_status, last_error = row
    return Delivery(
        id=id,
        notice=load_notice(notice),
        state=state,
        attempts=attempts,
        created_at=moment(created_at),
        next_at=moment_or_none(next_at),
        finished_at=moment_or_none(finished_at),
        last_status=last_status,
        last_error=last_error,
    )


def step_from(job_id: str, row: Row) -> Step:
    """A step from a row of (name, done, result, sends, at, files)."""
    name, done, result, sends, at, files = row
    return Step(job_id, name, bool(done), load_or_none(result), sends, moment(at), load_or_none(files))


def cache_entry_from(row: Row) -> CacheEntry:
    """A cache entry from a row of (key, value, job_id, made_at, expires_at)."""
    key, value, job_id, made_at, expires_at = row
    return CacheEntry(key, load(value), job_id, moment(made_at), moment(expires_at))


def dump_error(error: JobError | None) -> str | None:
    """An error as JSON."""
    return None if error is None else dump(_error_to_json(error))


def load_error(text: str | None) -> JobError | None:
    """What `dump_error` wrote."""
    return None if text is None else _error_from_json(load(text))


def _error_to_json(error: JobError | None) -> list[str] | None:
    return None if error is None else [error.kind, error.type, error.message]


def _error_from_json(data: Any) -> JobError | None:
    return None if data is None else JobError(*data)


def _run_to_json(run: Run) -> list[Any]:
    times = micros(run.started_at), micros(run.finished_at)
    return [run.attempt, run.epoch, *times, run.outcome, _error_to_json(run.error)]


def _run_from_json(data: Any) -> Run:
    attempt, epoch, started_at, finished_at, outcome, error = data
    return Run(attempt, epoch, moment(started_at), moment(finished_at), outcome, _error_from_json(error))
