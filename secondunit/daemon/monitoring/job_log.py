"""Instrumentation sink: what the log says of jobs and modes, all of its wording in one place."""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import structlog

from secondunit.daemon.automation.partial_retry import RetriedByItself
from secondunit.daemon.automation.scheduler import ScheduleMoved
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.formats import milliseconds
from secondunit.queue.clock import Clock
from secondunit.queue.instrumentation import (
    BeatLate,
    Fact,
    HandlerRaised,
    JobsMoved,
    LeftBehind,
    RunEstimated,
    RunReclaimed,
    SinkBroke,
    StepInDoubt,
)
from secondunit.queue.model import Event, JobId
from secondunit.queue.outcome import name_of, told, unexpected
from secondunit.queue.remote.leasing import LeaseMoved
from secondunit.queue.running.presence import BoxDrained

LEVELS = {"progress": logging.DEBUG, "failed": logging.ERROR, "retrying": logging.WARNING}
EVENT_LEVELS = (logging.INFO, *LEVELS.values())
SETTLED = ("completed", "partial", "failed", "cancelled")


class JobLog:
    """An instrumentation sink that logs each job's life."""

    def __init__(self, clock: Clock) -> None:
        self._log = structlog.get_logger(__name__).bind()  # which the proxy would do anew for each event
        self._heard = [level for level in EVENT_LEVELS if self._log.is_enabled_for(level)]  # asked three times a job
        self._clock = clock
        self._started: dict[JobId, float] = {}
        self._written: dict[type[Fact], Callable[[Any], None]] = {
            JobsMoved: self._moved,
            BeatLate: self._beat_late,
            RunReclaimed: self._reclaimed,
            RunEstimated: self._estimated,
            StepInDoubt: self._in_doubt,
            RetriedByItself: self._partial_retried,
            ScheduleMoved: self._scheduled,
            HandlerRaised: self._raised,
            LeftBehind: self._left_behind,
            LeaseMoved: self._lease_moved,
            BoxDrained: self._drained,
            SinkBroke: self._sink_broke,
        }

    def __call__(self, fact: Fact) -> None:
        """Log what happened, if it happened to a job."""
        write = self._written.get(type(fact))
        if write is not None:
            write(fact)

    def _moved(self, fact: JobsMoved) -> None:
        for event in fact.events:
            level = LEVELS.get(event.name, logging.INFO)
            if level in self._heard and event.name != "data":
                self._write(event, level)

    def _lease_moved(self, fact: LeaseMoved) -> None:
        job, worker = fact.job, fact.holder.worker
        self._log.info(
            "job.lease",
            message=f"the lease of {job.type} job {job.id} on worker {worker}: {fact.what}",
            job_id=job.id,
            type=job.type,
            worker=worker,
            key=fact.holder.key or None,
            what=fact.what,
        )

    def _drained(self, fact: BoxDrained) -> None:
        told = "starts jobs again"
        if fact.drained:
            told = f"is drained and starts nothing; `secondunit boxes resume {fact.box}` has it start jobs again"
        self._log.info("box.drained" if fact.drained else "box.resumed", message=f"box {fact.box} {told}")

    def _reclaimed(self, fact: RunReclaimed) -> None:
        job = fact.job
        self._log.warning(
            "job.reclaimed",
            message=f"{job.type} job {job.id} is {job.status} now: {job.message}",
            job_id=job.id,
            type=job.type,
            status=job.status.value,
            reclaims=job.reclaims,
        )

    def _estimated(self, fact: RunEstimated) -> None:
        job = fact.job
        cpu = f" and {fact.cpu:.3g} s of CPU time" if fact.cpu else ""
        by = f"by {fact.runs} earlier {'run' if fact.runs == 1 else 'runs'}"
        self._log.info(
            "job.estimated",
            message=f"{job.type} job {job.id} will take about {fact.seconds:.3g} s{cpu}, {by}",
            job_id=job.id,
            type=job.type,
            seconds=round(fact.seconds, 3),
            error_seconds=round(fact.error, 3),
            cpu_seconds=None if fact.cpu is None else round(fact.cpu, 3),
            runs=fact.runs,
        )

    def _beat_late(self, fact: BeatLate) -> None:
        self._log.warning(
            "lease.late",
            message=f"{fact.seconds:.1f} s between two heartbeats, and leases last {fact.lease:g} s: runs may "
            "have lost theirs; the disk is slow, the machine overloaded, or the process was stopped",
            seconds=round(fact.seconds, 3),
            lease_seconds=fact.lease,
        )

    def _in_doubt(self, fact: StepInDoubt) -> None:
        job, step, sends = fact.job, fact.step, fact.sends
        sent = "once" if sends == 1 else f"{sends} times"
        self._log.warning(
            "job.in_doubt",
            message=f"{step} of {job.type} job {job.id} was sent {sent} and no answer was stored; it may be charged",
            job_id=job.id,
            type=job.type,
            step=step,
            sends=sends,
        )

    def _partial_retried(self, fact: RetriedByItself) -> None:
        job, number = fact.job, fact.number
        self._log.info(
            "job.again",
            message=f"{job.type} job {job.id} looks again for what it missed for a passing reason (time {number})",
            job_id=job.id,
            type=job.type,
            missing=len(job.missing or ()),
            number=number,
        )

    def _scheduled(self, fact: ScheduleMoved) -> None:
        runs = (f"{fact.number} runs" if fact.number > 1 else "a run") + " or more" * fact.more
        done = fact.what if fact.what in ("paused", "resumed") else f"{fact.what} {runs}"
        self._log.log(
            logging.INFO if fact.what in ("submitted", "resumed") else logging.WARNING,
            f"schedule.{fact.what.replace(' ', '_')}",
            message=f"schedule {fact.schedule}: {done}" + (f" ({fact.why})" if fact.why else ""),
            schedule=fact.schedule,
            number=fact.number,
        )

    def _raised(self, fact: HandlerRaised) -> None:
        job, error = fact.job, fact.error
        if unexpected(error):  # one that says what it means needs no traceback
            message = f"{job.type} job {job.id} raised {told(error)}"
            self._log.warning("job.raised", message=message, job_id=job.id, type=job.type, exc_info=error)

    def _left_behind(self, fact: LeftBehind) -> None:
        job, tasks, others = fact.job, fact.tasks, fact.others
        what = []
        if tasks:
            what.append(f"tasks running, which were stopped: {', '.join(tasks)}")
        if others:
            what.append(f"these, begun while it ran and still alive: {', '.join(others)}")
        self._log.warning(
            "job.left_behind",
            message=f"{job.type} job {job.id} left {'; '.join(what)}",
            job_id=job.id,
            type=job.type,
            tasks=list(tasks),
            others=list(others),
        )

    def _sink_broke(self, fault: SinkBroke) -> None:
        # By its kind only: to write down what an error says may be what it broke at.
        sink, fact, error = (type(value).__name__ for value in (fault.sink, fault.fact, fault.error))
        about: dict[str, Any] = {}
        if isinstance(fault.fact, HandlerRaised):
            about = {"job_id": fault.fact.job.id, "raised": name_of(fault.fact.error)}
        message = f"{sink} could not take {fact}: {error}"
        self._log.error("sink.broke", message=message, sink=sink, fact=fact, **about)

    def _write(self, event: Event, level: int) -> None:
        elapsed = self._elapsed(event)
        self._log.log(
            level,
            "job.settled" if event.name in SETTLED else f"job.{event.name}",
            event_type=f"job:{event.name}",
            message=sentence(event, elapsed),
            job_id=event.job_id,
            type=event.job_type,
            phase=event.phase,
            elapsed_ms=milliseconds(elapsed),
            status=event.status.value,
            attempt=event.attempt,
            **_details(event),
        )

    def _elapsed(self, event: Event) -> timedelta | None:
        if event.name == "started":
            self._started[event.job_id] = self._clock.monotonic()
            return None
        if event.name == "progress":
            begun = self._started.get(event.job_id)
            return None if begun is None else timedelta(seconds=self._clock.monotonic() - begun)
        self._started.pop(event.job_id, None)
        return event.duration


def sentence(event: Event, elapsed: timedelta | None) -> str:
    """The event as a person would tell it."""
    job = f"{event.job_type} job {event.job_id}"
    took = "" if elapsed is None else f" after {elapsed.total_seconds():.1f} s"
    why = f": {event.error.message}" if event.error else ""
    match event.name:
        case "queued":
            return f"{job} is queued" + (f": {event.message}" if event.message else "")
        case "started":
            return f"{job} started, attempt {event.attempt}"
        case "retrying":
            when = f" at {event.run_at:%H:%M:%S}" if event.run_at else ""
            return f"{job} failed{took} and is tried again{when}{why}"
        case "progress":
            return f"{job} is {event.progress:.0%} done" + (f": {event.message}" if event.message else "")
        case "partial":
            return f"{job} completed in part{took}"
        case name:
            return f"{job} {name}{took}{why}"


def mode_lines(settings: Settings, *, polls: bool = True) -> Sequence[str]:
    """The lines by which operators know the mode; tools watch for them, so they stay as they are.

    In active mode only the first where nothing `polls`.
    """
    if settings.processor_mode == "passive":
        return (
            "[Passive Mode] Starting in PASSIVE mode (default)",
            "[Passive Mode] Waiting for requests on /analyze and /analyze-from-url endpoints",
        )
    interval, starting = settings.poll_interval_ms, "[Active Mode] Starting in ACTIVE mode"
    if not polls:
        return (starting,)
    return (
        starting,
        f"[Active Mode] Will poll {settings.backend_api_url} every {interval}ms",
        f"[Active Mode] Starting active worker (poll interval: {interval / 1000:.1f}s)",
        f"[Active Mode] Backend API: {settings.backend_api_url}",
    )


def _details(event: Event) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if event.error:
        details.update(error_class=event.error.kind, error_type=event.error.type, error=event.error.message)
    if event.run_at:
        details["run_at"] = event.run_at.isoformat()
    return details
