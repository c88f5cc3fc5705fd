"""Serializers of sight: answers of the daemon as `responses` describes them."""

from collections.abc import Iterable
from datetime import datetime

from secondunit.daemon.automation.polls import BackendStatus, Polling
from secondunit.daemon.formats import instant, milliseconds
from secondunit.daemon.http.contract import expectations
from secondunit.daemon.http.contract.sight import responses
from secondunit.daemon.http.contract.sight.requests import Window
from secondunit.daemon.sight.forecast import Outlook
from secondunit.daemon.sight.programs import Program
from secondunit.daemon.sight.stats import Statistics
from secondunit.daemon.sight.system import System
from secondunit.daemon.sight.types import ServedType
from secondunit.queue.model import Job
from secondunit.queue.sight.explain import Explanation
from secondunit.queue.sight.fingerprint import ErrorGroup
from secondunit.queue.sight.series import COUNTERS, Point


def explained(job: Job, told: Explanation, outlook: Outlook, *, whole: bool) -> responses.Explained:
    """Why a job is where it is; unless `whole`, without naming others, of which the caller may not know."""
    return responses.Explained(
        job_id=job.id,
        status=job.status.value,
        reason=told.reason,
        sentence=str(told.sentence),
        until=instant(told.until),
        ahead=told.ahead,
        blocked_by=list(told.blocked_by) if whole else [],
        **expectations.told(outlook),
    )


def types(served: Iterable[ServedType]) -> responses.JobTypes:
    """The job types."""
    return responses.JobTypes([_type(one) for one in served])


def one_type(type: str, served: Iterable[ServedType]) -> responses.JobType:
    """That of them."""
    return next(_type(one) for one in served if one.spec.type == type)


def errors(groups: Iterable[ErrorGroup], truncated: bool) -> responses.FailureGroups:
    """Failures in groups."""
    return responses.FailureGroups([_group(group) for group in groups], truncated)


def _group(group: ErrorGroup) -> responses.FailureGroup:
    return responses.FailureGroup(
        fingerprint=group.fingerprint,
        type=group.type,
        kind=group.error.kind,
        error_type=group.error.type,
        message=group.error.message,
        count=group.count,
        first_at=instant(group.first_at),
        last_at=instant(group.last_at),
        job_ids=list(group.job_ids),
    )


def stats(window: Window, found: Statistics) -> responses.Stats:
    """What happened in a window."""
    return responses.Stats(window, found.step, [_point(point) for point in found.points])


def _point(point: Point) -> responses.StatsPoint:
    counts = {name: point.counts.get(name, 0) for name in COUNTERS}
    return responses.StatsPoint(
        at=instant(point.at),
        **counts,
        queued=point.queued,
        running=point.running,
        wait_p50=point.waits[0],
        wait_p95=point.waits[1],
        run_p50=point.runs[0],
        run_p95=point.runs[1],
    )


def _type(one: ServedType) -> responses.JobType:
    spec = one.spec
    return responses.JobType(
        type=spec.type,
        concurrency=one.concurrency,
        running=one.running,
        queued=one.queued,
        paused=one.paused,
        timeout_seconds=spec.timeout.total_seconds(),
        stall_seconds=spec.stall.total_seconds(),
        retry=responses.TypeRetry(spec.retry.max_retries, spec.retry.backoff, milliseconds(spec.retry.initial_delay)),
        source=one.source,
        workers=[
            responses.RemoteWorker(seen.holder.worker, seen.holder.key or None, instant(seen.seen_at), seen.waiting)
            for seen in one.workers
        ],
    )


def backend(status: BackendStatus) -> responses.BackendState:
    """How active mode stands."""
    polling = status.polling or Polling()
    return responses.BackendState(
        mode="active" if status.mode == "active" else "passive",
        url=status.url,
        idle=status.idle,
        polled=status.polling is not None,
        last_answer_at=instant(polling.answered_at),
        next_poll_at=instant(status.next_at),
        down_since=instant(polling.down_since),
        trouble=polling.trouble,
        failures=status.failures,
        found=polling.found,
        cooling_down=polling.waiting,
        taken=polling.taken,
        delivered=status.delivered,
        live=[responses.TakenOn(analysis, job) for job, analysis in status.live.items()],
        quarantined=[responses.Quarantined(id, instant(until)) for id, until in status.quarantined.items()],
        polls=[
            responses.BackendPoll(instant(poll.at), poll.outcome, poll.found, poll.taken, poll.why)
            for poll in status.polls
        ],
    )


def system(found: System, version: str, now: datetime) -> responses.SystemState:
    """What the daemon runs on."""
    backup = found.backup
    return responses.SystemState(
        version=version,
        programs=[_program(program, now) for program in found.programs],
        disks=[responses.SystemDisk(disk.name, disk.free, disk.fault) for disk in found.disks],
        database=responses.DatabaseSize(found.database, found.wal),
        backup=responses.LastBackup(str(backup.path), instant(backup.made), instant(backup.verified))
        if backup
        else None,
        loop_lag=responses.LagFigures(found.lag, found.largest_lag),
        memory=responses.ProcessMemory(found.memory, found.peak_memory),
        sandbox=dict(found.sandbox),
        exposure=found.exposure,
    )


def _program(program: Program, now: datetime) -> responses.ProgramVersion:
    age = None if program.dated is None else max((now - program.dated).days, 0)
    return responses.ProgramVersion(program.name, program.version, program.path, instant(program.dated), age)
