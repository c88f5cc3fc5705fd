"""Response models of what operators ask (stuck jobs, whether a restart is safe, backups), of deliveries and batches."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from secondunit.daemon.http.contract.responses import (
    Answer,
    BatchId,
    Job,
    JobId,
    Milliseconds,
    Percent,
    StatusName,
    Time,
)


class StuckJob(Answer):
    """A running job that does not move, or whose lease ran out."""

    job_id: JobId
    epoch: int
    type: str
    source: str
    source_id: str | None
    attempt: int
    phase: str | None
    message: str | None
    updated_at: Time
    stuck_seconds: int
    lease_until: Time | None


class Stuck(Answer):
    """Running jobs that do not move, those that moved longest ago first."""

    jobs: list[StuckJob]


class UnderWay(Answer):
    """A running job. `remaining_seconds` is a guess from its progress so far; `paid_steps` wait for a paid answer."""

    job_id: JobId
    type: str
    progress: Percent
    phase: str | None
    elapsed_seconds: int
    remaining_seconds: int | None
    paid_steps: list[str]


class Check(Answer):
    """Whether a restart would interrupt nothing, and for how many seconds it would; null where that can't be told."""

    safe: bool
    running: list[UnderWay]
    seconds: int | None


class Backup(Answer):
    """A copy of the database."""

    path: str
    bytes: int
    jobs: int


class DoctorCheck(Answer):
    """Something that was looked at: how it is, what was found, and what to do where it is not well."""

    name: str
    state: Literal["ok", "warn", "bad"]
    found: str
    remedy: str


class DoctorReport(Answer):
    """What the daemon alone can see of itself; `settings` in effect by their variables' names, secrets as `***`.

    `origins`: where each of them came from (`default`, `environment`, or a file). `keys`: whether callers need one.
    `secondunit doctor` adds what is seen from outside.
    """

    version: str
    pid: int
    keys: bool
    settings: dict[str, Any]
    origins: dict[str, str]
    checks: list[DoctorCheck]


class KnownSchedule(Answer):
    """A schedule of the file, and how it stands.

    `next_at` is null while it is paused; `last_at` is when its last job was submitted; `why` says why it is paused, or
    what was odd about its last run; `failures_in_row` counts its jobs that failed, up to the next one that does not.
    """

    name: str
    cron: str
    timezone: str
    next_at: Time | None
    last_at: Time | None
    last_job_id: JobId | None
    last_status: str | None
    paused: bool
    why: str | None
    failures_in_row: int


class KnownSchedules(Answer):
    """Every schedule, in the order of the file."""

    schedules: list[KnownSchedule]


class BatchJob(Answer):
    """A job of a batch that is on disk; `ref` is its name within the batch."""

    job_id: JobId
    ref: str | None
    status: StatusName
    created_at: Time
    paused: Annotated[bool, Meta(extra_json_schema={"default": False})] | UnsetType = UNSET


class Batch(Answer):
    """The jobs of a batch, in its order. `batch_id` is null where jobs stand for it that are of none."""

    batch_id: BatchId | None
    jobs: list[BatchJob]


class BatchSummary(Answer):
    """A batch in a list: `by_status` counts its jobs that are kept, of `total`."""

    batch_id: BatchId
    name: str | None
    total: int
    by_status: dict[str, int]
    created_at: Time
    finished_at: Time | None


class Batches(Answer):
    """Batches, newest first."""

    batches: list[BatchSummary]
    next_cursor: str | None


class BatchDetail(Answer):
    """A batch: `by_status` counts its jobs that are kept, of `total`; `finished_at` is there while all have ended.

    The page of its jobs ends early where they would be more than 8 MiB; `next_cursor` goes on.
    """

    batch_id: BatchId
    name: str | None
    total: int
    by_status: dict[str, int]
    created_at: Time
    finished_at: Time | None
    jobs: list[Job]
    next_cursor: str | None


class DeliveryTry(Answer):
    """One request to the receiver: `status` is the HTTP status of its answer, null without one; `duration` in ms."""

    at: Time
    duration: Milliseconds
    status: int | None
    error: str | None


class Delivery(Answer):
    """News of a job's end on its way to `url`: `id` is its webhook-id; `tries` are the last 20, oldest first."""

    id: str
    kind: str
    url: str
    status: Literal["pending", "delivered", "dead"]
    attempts: int
    created_at: Time
    next_at: Time | None
    finished_at: Time | None
    last_status: int | None
    last_error: str | None
    tries: list[DeliveryTry]


class Deliveries(Answer):
    """The deliveries of a job, oldest first."""

    deliveries: list[Delivery]
