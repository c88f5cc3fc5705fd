"""Response serializers: jobs, events, deliveries and all else that goes out, under their names in JSON."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from secondunit.daemon.files.artifacts import ArtifactFile
from secondunit.daemon.formats import instant, milliseconds, percent
from secondunit.daemon.monitoring.health_report import HealthReport
from secondunit.handlers.tools.storage.content_types import content_type_of
from secondunit.queue.engine import Snapshot
from secondunit.queue.handler import Registry
from secondunit.queue.model import Counts, Event, Job, Page, Run
from secondunit.queue.outcome import JobError
from secondunit.queue.service import Bulk
from secondunit.queue.store import Delivery

HIDDEN = "***"


def accepted(jobs: Iterable[Job]) -> Iterator[str]:
    """Each job as its submitter hears of it, in JSON already: nothing in an id, a status or a time needs an escape."""
    at, created = None, None
    for job in jobs:
        if job.created_at is not at:  # those that came together have one time
            at, created = job.created_at, instant(job.created_at)
        yield f'{{"jobId":"{job.id}","status":"{job.status.value}","createdAt":"{created}"}}'


def batch(jobs: Iterable[Job]) -> str:
    """The jobs of a batch as their submitter hears of them, in JSON already."""
    return f'{{"jobs":[{",".join(accepted(jobs))}]}}'


def moved(job: Job) -> dict[str, Any]:
    """A job after a move."""
    return {"jobId": job.id, "status": job.status}


def summary(job: Job) -> dict[str, Any]:
    """Where a job stands, without what was put in and what came out."""
    return {
        "jobId": job.id,
        "type": job.type,
        "status": job.status,
        "priority": job.priority,
        "progress": percent(job.progress),
        "phase": job.phase,
        "message": job.message,
        "attempt": job.attempt,
        "maxAttempts": job.retry.max_retries + 1,
        "error": failure(job.error),
        "createdAt": instant(job.created_at),
        "updatedAt": instant(job.updated_at),
        "startedAt": instant(job.started_at),
        "finishedAt": instant(job.finished_at),
        "duration": milliseconds(_duration(job)),
        "runAt": instant(job.run_at),
    }


def detail(job: Job, registry: Registry) -> dict[str, Any]:
    """Everything a caller may know of a job."""
    # A payload whose type is gone may hold anything: nothing of it is shown.
    secrets = registry[job.type].secrets if job.type in registry else job.payload.keys()
    return summary(job) | {
        "payload": masked(job.payload, secrets),
        "result": job.result,
        "missing": job.missing,
        "stats": job.stats,
        "dependsOn": [],
        "attempts": [_attempt(run) for run in job.runs],
    }


def page(found: Page, counts: Counts, registry: Registry) -> dict[str, Any]:
    """A page of the list of jobs, and how busy the queue is."""
    return {
        "jobs": [detail(job, registry) for job in found.jobs],
        "total": found.total,
        "queued": sum(counts.queued.values()),
        "running": sum(counts.running.values()),
        "nextCursor": None if found.next_cursor is None else str(found.next_cursor),
    }


def masked(payload: Mapping[str, Any], secrets: Collection[str]) -> dict[str, Any]:
    """The payload with its secrets struck out; of a mapping (headers, cookies) the names stay."""
    return {name: _struck(value) if name in secrets else value for name, value in payload.items()}


def failure(error: JobError | None) -> dict[str, Any] | None:
    """Why a run failed."""
    return None if error is None else {"class": error.kind, "type": error.type, "message": error.message}


def message(event: Event) -> dict[str, Any]:
    """An event as the readers of all jobs see it."""
    content: dict[str, Any] = {
        "type": f"job:{event.name}",
        "jobId": event.job_id,
        "jobType": event.job_type,
        "status": event.status,
        "progress": percent(event.progress),
        "phase": event.phase,
        "message": event.message,
        "attempt": event.attempt,
        "timestamp": instant(event.at),
    }
    if event.error is not None:
        content["error"] = failure(event.error)
    if event.run_at is not None:
        content["runAt"] = instant(event.run_at)
    return content


def reset(jobs: Iterable[Job]) -> dict[str, Any]:
    """What a reader is told whose missed events are no longer kept: how the jobs stand now."""
    return {"type": "reset", "jobs": [summary(job) for job in jobs]}


def recipe(job_id: str, result: Mapping[str, Any], *, cached: bool = False) -> dict[str, Any]:
    """The result of the job `analyze` that made it; `cached` if it was there already."""
    metadata = {**result["metadata"], **({"cached": True} if cached else {})}
    return {"jobId": job_id, "recipe": result["recipe"], "metadata": metadata}


def without_recipe(job: Job) -> dict[str, Any]:
    """Which job a problem is about, and its error."""
    return {"jobId": job.id, "error": failure(job.error)}


def bulk(outcome: Bulk) -> dict[str, Any]:
    """How many jobs a move reached, and which it did not."""
    refused = [{"jobId": job_id, "message": why} for job_id, why in outcome.refused]
    return {"done": len(outcome.done), "refused": refused}


def deliveries(rows: Iterable[Delivery]) -> dict[str, Any]:
    """The deliveries of a job."""
    return {"deliveries": [delivery(row) for row in rows]}


def delivery(row: Delivery) -> dict[str, Any]:
    """A delivery and how it fares."""
    return {
        "id": row.id,
        "kind": row.notice.target.kind,
        "url": row.notice.target.address,
        "status": row.state,
        "attempts": row.attempts,
        "createdAt": instant(row.created_at),
        "nextAt": instant(row.next_at),
        "finishedAt": instant(row.finished_at),
        "lastStatus": row.last_status,
        "lastError": row.last_error,
    }


def stuck(jobs: Iterable[Job], now: datetime) -> dict[str, Any]:
    """Running jobs that do not move, in the order given."""
    return {"jobs": [_stuck(job, now) for job in jobs]}


def _stuck(job: Job, now: datetime) -> dict[str, Any]:
    """A running job that does not move, as an operator looks at it."""
    return {
        "jobId": job.id,
        "epoch": job.epoch,
        "type": job.type,
        "source": job.source,
        "attempt": job.attempt,
        "phase": job.phase,
        "message": job.message,
        "updatedAt": instant(job.updated_at),
        "stuckSeconds": max(0, (now - job.updated_at) // timedelta(seconds=1)),
        "leaseUntil": instant(job.lease.until if job.lease else None),
    }


def restart_check(under_way: Iterable[tuple[Job, Sequence[str]]], now: datetime) -> dict[str, Any]:
    """Whether a restart disturbs nothing: what runs, with its unanswered paid steps, and when the last may be done."""
    jobs = [_under_way(job, paid, now) for job, paid in under_way]
    left = [job["remainingSeconds"] for job in jobs]
    known = [seconds for seconds in left if seconds is not None]
    return {"safe": not jobs, "running": jobs, "seconds": None if len(known) < len(left) else max(known, default=0)}


def _under_way(job: Job, paid: Sequence[str], now: datetime) -> dict[str, Any]:
    """A running job, with a guess from its progress at how many seconds are left, and its unanswered paid steps."""
    elapsed = max((now - (job.started_at or now)).total_seconds(), 0.0)
    remaining = elapsed * (1 - job.progress) / job.progress if job.progress > 0 else None
    return {
        "jobId": job.id,
        "type": job.type,
        "progress": percent(job.progress),
        "phase": job.phase,
        "elapsedSeconds": round(elapsed),
        "remainingSeconds": None if remaining is None else round(remaining),
        "paidSteps": list(paid),
    }


def artifacts(files: Iterable[ArtifactFile]) -> dict[str, Any]:
    """The files that a job wrote."""
    return {
        "artifacts": [
            {"name": file.name, "size": file.size, "contentType": content_type_of(file.name)} for file in files
        ]
    }


def type_state(type: str, *, paused: bool) -> dict[str, Any]:
    """Whether jobs of a type are started."""
    return {"type": type, "paused": paused}


def health(report: HealthReport, *, whole: bool) -> dict[str, Any]:
    """How the daemon is; its reasons and figures only if all may be told."""
    figures = {"reasons": list(report.reasons), **(report.figures or {})} if whole else {}
    return {"status": report.status, **figures}


def backup(snapshot: Snapshot) -> dict[str, Any]:
    """Where a copy of the database lies, and what it holds."""
    return {"path": str(snapshot.path), "bytes": snapshot.size, "jobs": snapshot.jobs}


def _duration(job: Job) -> timedelta | None:
    return job.finished_at - job.started_at if job.started_at and job.finished_at else None


def _attempt(run: Run) -> dict[str, Any]:
    return {
        "attempt": run.attempt,
        "startedAt": instant(run.started_at),
        "finishedAt": instant(run.finished_at),
        "outcome": run.outcome,
        "error": failure(run.error),
    }


def _struck(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict.fromkeys(value, HIDDEN)
    return None if value is None else HIDDEN
