"""Response models of sight: why a job waits, the job types, statistics, errors, the system."""

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from secondunit.daemon.http.contract.expectations import Estimate, Seconds
from secondunit.daemon.http.contract.responses import Answer, JobId, Milliseconds, StatusName, Time
from secondunit.queue.sight.explain import MOST_NAMED, Reason
from secondunit.queue.sight.fingerprint import MOST_JOBS


class Explained(Answer):
    """Why a job is where it is, as the next claim judges it; `sentence` tells a person, in one line, with its figures.

    `until` is when it may start where that is known, `ahead` how many start before it where that can be told, and
    `blocked_by` the jobs that it waits for: first those that run, then those that stand before it. `eta_seconds` and
    `starts_at` are as of a job itself; of one that waits for anything but a slot they can't be told.
    """

    job_id: JobId
    status: StatusName
    reason: Reason
    sentence: str
    until: Time | None
    ahead: Annotated[int, Meta(ge=0)] | None
    blocked_by: Annotated[list[JobId], Meta(max_length=MOST_NAMED)]
    eta_seconds: Seconds | None
    eta_error_seconds: Seconds | None
    starts_at: Time | None
    starts_at_error_seconds: Seconds | None
    estimate: Estimate | None


class TypeRetry(Answer):
    """When a failed attempt of a job is tried again, unless the job says otherwise; `initial_delay` in milliseconds."""

    max_retries: Annotated[int, Meta(ge=0)]
    backoff: Literal["exponential", "fixed"]
    initial_delay: Milliseconds


class RemoteWorker(Answer):
    """A worker that leases jobs: its name, its key's prefix, when it was last heard of, whether it waits for one."""

    name: str
    key: str | None
    last_seen_at: Time
    waiting: bool


class JobType(Answer):
    """A job type that is served. `concurrency` of its jobs run at once; `source` says where its code is.

    `workers` are those that leased its jobs, or asked for them, in the last 24 hours of this daemon, the latest first.
    """

    type: str
    concurrency: Annotated[int, Meta(ge=1)]
    running: int
    queued: int
    paused: bool
    timeout_seconds: float
    stall_seconds: float
    retry: TypeRetry
    source: str
    workers: Annotated[list[RemoteWorker], Meta(max_length=1000)]


class JobTypes(Answer):
    """The job types that are served, by name."""

    types: list[JobType]


class FailureGroup(Answer):
    """Jobs that failed alike: `message` is the newest one, `job_ids` are the newest jobs, at most 20."""

    fingerprint: str
    type: str
    kind: Literal["transient", "deterministic", "timeout", "cancelled"] = field(name="class")
    error_type: str
    message: str
    count: Annotated[int, Meta(ge=1)]
    first_at: Time
    last_at: Time
    job_ids: Annotated[list[JobId], Meta(max_length=MOST_JOBS)]


class FailureGroups(Answer):
    """Groups of failures, those with the most first; `truncated`: of so many that only the newest 5,000 are in them."""

    groups: list[FailureGroup]
    truncated: bool


Count = Annotated[int, Meta(ge=0)]


class StatsPoint(Answer):
    """What happened in one step, from `at` on; `queued` and `running` are as they stood at its end.

    Waits and runs are seconds, at most a tenth too long; null where there was none. `queued` and `running` are null
    where they are not known any more.
    """

    at: Time
    submitted: Count
    started: Count
    completed: Count
    partial: Count
    failed: Count
    cancelled: Count
    retried: Count
    queued: Count | None
    running: Count | None
    wait_p50: Seconds | None = field(name="waitP50")
    wait_p95: Seconds | None = field(name="waitP95")
    run_p50: Seconds | None = field(name="runP50")
    run_p95: Seconds | None = field(name="runP95")


class Stats(Answer):
    """What happened in a window, the oldest step first; the last one is not over yet."""

    window: Literal["1h", "6h", "24h", "7d"]
    step_seconds: Annotated[int, Meta(ge=1)]
    points: list[StatsPoint]


class BackendPoll(Answer):
    """A poll of the backend: how many analyses it listed, how many of them were taken on, or why it gave no list."""

    at: Time
    outcome: Literal["ok", "error", "refused"]
    found: Count
    taken: Count
    why: str | None


class Quarantined(Answer):
    """An analysis that was refused here, and until when it is left alone."""

    analysis_id: str
    until: Time


class TakenOn(Answer):
    """An analysis that was taken on and has not ended, and our job for it."""

    analysis_id: str
    job_id: JobId


class BackendState(Answer):
    """Active mode as it stands: `found` and `cooling_down` are of the last list, `taken` and `delivered` of all.

    `url` is null where no backend is configured, `idle` says why nothing is polled in active mode; `failures` are polls
    in a row without a list, since `down_since`; `polls` are the last 20, newest first.
    """

    mode: Literal["active", "passive"]
    url: str | None
    idle: str | None
    polled: bool
    last_answer_at: Time | None
    next_poll_at: Time | None
    down_since: Time | None
    trouble: str | None
    failures: Count
    found: Count
    cooling_down: Count
    taken: Count
    delivered: Count
    live: list[TakenOn]
    quarantined: list[Quarantined]
    polls: list[BackendPoll]


class ProgramVersion(Answer):
    """A program that jobs need; no version: it is missing. `dated_at` is of its release if known, else of its file."""

    name: str
    version: str | None
    path: str | None
    dated_at: Time | None
    age_days: int | None


class SystemDisk(Answer):
    """A disk: `data` is DATA_DIR's, the others are of MEDIA_ROOTS, as they were last seen."""

    name: str
    free_bytes: Count | None
    fault: str | None


class DatabaseSize(Answer):
    """The database's file, and its write-ahead log."""

    size_bytes: Count | None
    wal_bytes: Count | None


class LastBackup(Answer):
    """The newest copy of the database; `verified_at` is when it was read back whole, null if it never was."""

    path: str
    made_at: Time
    verified_at: Time | None


class LagFigures(Answer):
    """How late the event loop was: when last measured, and at most within a minute."""

    last_seconds: Seconds | None
    largest_seconds: Seconds | None


class ProcessMemory(Answer):
    """Memory of the daemon itself."""

    resident_bytes: Count | None
    peak_bytes: Count | None


class SystemState(Answer):
    """What the daemon runs on. `exposure` is systemd's figure for the unit (0 to 10, less is better); null: unknown."""

    version: str
    programs: list[ProgramVersion]
    disks: list[SystemDisk]
    database: DatabaseSize
    backup: LastBackup | None
    loop_lag: LagFigures
    memory: ProcessMemory
    sandbox: dict[str, Any]
    exposure: Annotated[float, Meta(ge=0, le=10)] | None
