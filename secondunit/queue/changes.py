"""The whole effect of a move: the next job with its run history, its event, and the notice of its end. Pure."""

from datetime import datetime, timedelta
from typing import Any, cast

from secondunit.queue.ids import ran_on
from secondunit.queue.model import Change, Event, EventName, Job, Notice, Run, Status
from secondunit.queue.outcome import JobError
from secondunit.queue.phases import left
from secondunit.queue.value import replace

RUNS_KEPT = 50


def ended(
    job: Job,
    status: Status,
    now: datetime,
    took: timedelta | None = None,
    *,
    result: Any = None,
    missing: Any = None,
    error: JobError | None = None,
    progress: float | None = None,
) -> Change:
    """The job's end, and with it that of its run if it has one."""
    run = ended_run(job, status.value, now, took, error) if job.lease else None
    job = replace(
        job,
        status=status,
        lease=None,
        suspicion=None,
        run_at=None,
        finished_at=now,
        updated_at=now,
        result=result,
        missing=missing,
        error=error,
        progress=job.progress if progress is None else progress,
        message=error.message if error else None,
        **_history(job, run),
    )
    return Change(job, told(job, cast(EventName, status.value), now, run), _notice(job, now))


def requeued(
    job: Job, name: EventName, now: datetime, run: Run, message: str, run_at: datetime | None = None
) -> Change:
    """The end of a run that is not its job's."""
    job = replace(
        job,
        status=Status.QUEUED,
        lease=None,
        run_at=run_at,
        updated_at=now,
        progress=0.0,
        phase=None,
        message=message,
        **_history(job, run),
    )
    return Change(job, told(job, name, now, run))


def ended_run(
    job: Job,
    outcome: str,
    now: datetime,
    took: timedelta | None = None,
    error: JobError | None = None,
    why: str | None = None,
) -> Run:
    """The run as history keeps it; one that nobody measured took what the wall's clock says, and at least nothing."""
    started = job.started_at or now
    took = max(now - started if took is None else took, timedelta(0))
    box, phases = ran_on(job.lease.boot) if job.lease else None, left(job.phases, now)
    return Run(job.attempt, job.epoch, started, now, outcome, error, took, why, phases=phases, box=box)


def _history(job: Job, run: Run | None) -> dict[str, Any]:
    if run is None:
        return {}
    return {"runs": (*job.runs, run)[-RUNS_KEPT:], "worked": job.worked + run.took, "phases": ()}


def told(job: Job, name: EventName, now: datetime, run: Run | None = None) -> Event:
    """What readers are told; `run` is one that ended by it."""
    return Event(
        job_id=job.id,
        job_type=job.type,
        name=name,
        at=now,
        status=job.status,
        progress=job.progress,
        phase=job.phase,
        message=job.message,
        attempt=job.attempt,
        error=job.error,
        run_at=job.run_at,
        duration=run.took if run else None,
        owner=job.owner,
    )


def _notice(job: Job, now: datetime) -> Notice | None:
    if job.target is None:
        return None
    return Notice(
        target=job.target,
        job_id=job.id,
        job_type=job.type,
        status=job.status,
        epoch=job.epoch,
        at=now,
        result=job.result,
        error=job.error,
        duration=job.duration,
        source=job.source,
        labels=job.labels,
    )
