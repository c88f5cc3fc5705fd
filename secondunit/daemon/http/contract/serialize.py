"""Response serializers: what is told of jobs, events, deliveries and all else, as `responses` describes it."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from msgspec import UNSET, Struct, to_builtins
from msgspec.structs import asdict

from secondunit.daemon.automation.timetable import PlannedSchedule
from secondunit.daemon.diagnosis.report import DaemonReport
from secondunit.daemon.files.artifacts import ArtifactFile
from secondunit.daemon.formats import instant, milliseconds, percent
from secondunit.daemon.http.contract import expectations, operations_responses, responses
from secondunit.daemon.monitoring.health_report import HealthReport
from secondunit.daemon.sight.forecast import UNKNOWN, Outlook, unforeseen
from secondunit.handlers.tools.storage.content_types import content_type_of
from secondunit.queue.graph.bulk import Bulk
from secondunit.queue.handler import Registry
from secondunit.queue.model import Counts, Event, Job, Page, Run, Status
from secondunit.queue.outcome import JobError
from secondunit.queue.payloads.secret_fields import struck
from secondunit.queue.phases import Phase
from secondunit.queue.ports.engine import Snapshot
from secondunit.queue.store import Delivery


def accepted(job: Job, paused: Collection[str] = ()) -> responses.Accepted:
    """A job as its submitter hears of it, while these types are paused."""
    return responses.Accepted(job.id, job.status.value, instant(job.created_at), waits(job, paused) or UNSET)


def waits(job: Job, paused: Collection[str]) -> bool:
    """Whether the job waits because its type is paused."""
    return job.type in paused and job.status is Status.QUEUED


def moved(job: Job) -> responses.Moved:
    """A job after a move."""
    return responses.Moved(job.id, job.status.value)


def summary(job: Job) -> responses.Summary:
    """Where a job stands, without what was put in and what came out."""
    return responses.Summary(
        job_id=job.id,
        type=job.type,
        status=job.status.value,
        priority=job.priority,
        progress=percent(job.progress),
        phase=job.phase,
        message=job.message,
        attempt=job.attempt,
        max_attempts=job.retry.max_retries + 1,
        error=failure(job.error),
        created_at=instant(job.created_at),
        updated_at=instant(job.updated_at),
        started_at=instant(job.started_at),
        finished_at=instant(job.finished_at),
        duration=milliseconds(job.duration),
        first_started_at=instant(job.first_started_at),
        total_duration=milliseconds(job.worked) if job.runs else None,
        run_at=instant(job.run_at),
        source=job.source,
        source_id=job.labels.get("analysis_id"),  # the poller's label
        submitted_by=job.submitted_by,
        box=job.box,
    )


def detail(job: Job, registry: Registry, paused: Collection[str] = (), outlook: Outlook = UNKNOWN) -> responses.Job:
    """Everything a caller may know of a job, while these types are paused."""
    # A payload whose type is gone may hold anything: nothing of it is shown.
    secrets = registry[job.type].secrets if job.type in registry else job.payload.keys()
    return responses.Job(
        **asdict(summary(job)),
        payload=struck(job.payload, secrets),
        result=job.result,
        missing=None if job.missing is None else list(job.missing),
        stats=None if job.stats is None else dict(job.stats),
        depends_on=list(job.depends_on),
        batch_id=job.batch,
        ref=job.bonds.ref if job.bonds else None,
        attempts=[_attempt(run) for run in job.runs],
        phases=_phases(job.phases),
        paused=waits(job, paused),
        **expectations.told(outlook),
    )


def page(
    found: Page,
    counts: Counts,
    registry: Registry,
    paused: Collection[str] = (),
    cursor: Callable[[int], str] = str,
    outlook: Callable[[Job], Outlook] = unforeseen,
) -> responses.Jobs:
    """A page of the list of jobs, and how busy the queue is; `cursor` writes where the next page begins."""
    return responses.Jobs(
        jobs=[detail(job, registry, paused, outlook(job)) for job in found.jobs],
        total=found.total,
        queued=sum(counts.queued.values()),
        running=sum(counts.running.values()),
        next_cursor=None if found.next_cursor is None else cursor(found.next_cursor),
        truncated=found.truncated,
    )


def plain(answer: Struct) -> Any:
    """An answer as who asked for it by HTTP gets it from its JSON."""
    return to_builtins(answer)


def failure(error: JobError | None) -> responses.Failure | None:
    """Why a run failed."""
    return None if error is None else responses.Failure(error.kind, error.type, error.message)


def message(event: Event) -> responses.Message:
    """An event as the readers of all jobs see it."""
    return responses.Message(
        type=cast(responses.EventType, f"job:{event.name}"),
        job_id=event.job_id,
        job_type=event.job_type,
        status=event.status.value,
        progress=percent(event.progress),
        phase=event.phase,
        message=event.message,
        attempt=event.attempt,
        timestamp=instant(event.at),
        error=failure(event.error) or UNSET,
        run_at=instant(event.run_at) or UNSET,
    )


def reset(jobs: Iterable[Job]) -> responses.Reset:
    """What a reader is told whose missed events are no longer kept: how the jobs stand now."""
    return responses.Reset("reset", [summary(job) for job in jobs])


def recipe(job_id: str, result: Mapping[str, Any]) -> responses.Recipe:
    """The result of the job `analyze` that made it."""
    return responses.Recipe(job_id, result["recipe"], result["metadata"])


def without_recipe(job: Job) -> dict[str, Any]:
    """Which job a problem is about, and its error."""
    return {"jobId": job.id, "error": failure(job.error)}


def bulk(outcome: Bulk) -> responses.Bulk:
    """How many jobs a move reached, and which it did not."""
    return responses.Bulk(len(outcome.done), [responses.Refusal(job_id, str(why)) for job_id, why in outcome.refused])


def deliveries(rows: Iterable[Delivery]) -> operations_responses.Deliveries:
    """The deliveries of a job."""
    return operations_responses.Deliveries([delivery(row) for row in rows])


def delivery(row: Delivery) -> operations_responses.Delivery:
    """A delivery and how it fares."""
    return operations_responses.Delivery(
        id=row.id,
        kind=row.notice.target.kind,
        url=row.notice.target.address,
        status=row.state,
        attempts=row.attempts,
        created_at=instant(row.created_at),
        next_at=instant(row.next_at),
        finished_at=instant(row.finished_at),
        last_status=row.last_status,
        last_error=row.last_error,
        tries=[
            operations_responses.DeliveryTry(instant(one.at), milliseconds(one.took), one.status, one.error)
            for one in row.tries
        ],
    )


def stuck(jobs: Iterable[Job], now: datetime) -> operations_responses.Stuck:
    """Running jobs that do not move, in the order given."""
    return operations_responses.Stuck([_stuck(job, now) for job in jobs])


def _stuck(job: Job, now: datetime) -> operations_responses.StuckJob:
    """A running job that does not move, as an operator looks at it."""
    return operations_responses.StuckJob(
        job_id=job.id,
        epoch=job.epoch,
        type=job.type,
        source=job.source,
        source_id=job.labels.get("analysis_id"),  # the poller's label
        attempt=job.attempt,
        phase=job.phase,
        message=job.message,
        updated_at=instant(job.updated_at),
        stuck_seconds=max(0, (now - job.updated_at) // timedelta(seconds=1)),
        lease_until=instant(job.lease.until if job.lease else None),
    )


def restart_check(under_way: Iterable[tuple[Job, Sequence[str]]], now: datetime) -> operations_responses.Check:
    """Whether a restart disturbs nothing: what runs, with its unanswered paid steps, and when the last may be done."""
    jobs = [_under_way(job, paid, now) for job, paid in under_way]
    left = [job.remaining_seconds for job in jobs]
    known = [seconds for seconds in left if seconds is not None]
    return operations_responses.Check(not jobs, jobs, None if len(known) < len(left) else max(known, default=0))


def _under_way(job: Job, paid: Sequence[str], now: datetime) -> operations_responses.UnderWay:
    """A running job, with a guess from its progress at how many seconds are left, and its unanswered paid steps."""
    elapsed = max((now - (job.started_at or now)).total_seconds(), 0.0)
    remaining = elapsed * (1 - job.progress) / job.progress if job.progress > 0 else None
    return operations_responses.UnderWay(
        job_id=job.id,
        type=job.type,
        progress=percent(job.progress),
        phase=job.phase,
        elapsed_seconds=round(elapsed),
        remaining_seconds=None if remaining is None else round(remaining),
        paid_steps=list(paid),
    )


def artifacts(files: Iterable[ArtifactFile]) -> responses.Artifacts:
    """The files that a job wrote."""
    return responses.Artifacts(
        [responses.Artifact(file.name, file.size, content_type_of(file.name), file.box or UNSET) for file in files]
    )


def type_state(type: str, *, paused: bool) -> responses.TypeState:
    """Whether jobs of a type are started."""
    return responses.TypeState(type, paused)


def health(report: HealthReport, *, whole: bool) -> dict[str, Any]:
    """How the daemon is; its reasons and figures only if all may be told."""
    if not whole:
        return dict(to_builtins(responses.Health(report.status)))
    conditions = [
        responses.HealthCondition(c.word, c.subject, str(c.text), instant(c.since), c.remedy) for c in report.conditions
    ]
    told = responses.Health(report.status, list(report.reasons), conditions, [*map(str, report.notes)])
    return {**to_builtins(told), **(report.figures or {})}


def schedule(standing: PlannedSchedule) -> operations_responses.KnownSchedule:
    """How a schedule stands."""
    state, cron = standing.state, standing.schedule.cron
    return operations_responses.KnownSchedule(
        name=state.name,
        cron=cron.expression,
        timezone=cron.zone.key,
        next_at=instant(standing.next_at),
        last_at=instant(state.last_at),
        last_job_id=state.last_job,
        last_status=standing.last_status,
        paused=state.paused,
        why=state.why,
        failures_in_row=state.failures,
    )


def schedules(standings: Iterable[PlannedSchedule]) -> operations_responses.KnownSchedules:
    """How all of them stand."""
    return operations_responses.KnownSchedules([schedule(standing) for standing in standings])


def backup(snapshot: Snapshot) -> operations_responses.Backup:
    """Where a copy of the database lies, and what it holds."""
    return operations_responses.Backup(str(snapshot.path), snapshot.size, snapshot.jobs)


def doctor(report: DaemonReport) -> operations_responses.DoctorReport:
    """What the daemon says of itself."""
    checks = [operations_responses.DoctorCheck(c.name, c.state, str(c.found), str(c.remedy)) for c in report.checks]
    return operations_responses.DoctorReport(
        report.version, report.pid, report.keys, dict(report.settings), dict(report.origins), checks
    )


def _attempt(run: Run) -> responses.Attempt:
    return responses.Attempt(
        attempt=run.attempt,
        started_at=instant(run.started_at),
        finished_at=instant(run.finished_at),
        duration=milliseconds(run.took),
        outcome=run.outcome,
        message=run.why,
        error=failure(run.error),
        phases=_phases(run.phases),
    )


def _phases(phases: Iterable[Phase]) -> list[responses.RunPhase]:
    return [responses.RunPhase(one.name, instant(one.at), milliseconds(one.took)) for one in phases]
