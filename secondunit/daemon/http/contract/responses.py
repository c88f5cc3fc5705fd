"""Response models: every answer that is JSON, built by `serialize` and described to callers by `openapi`.

Structs of msgspec, and not models of pydantic: to make one takes no validation, and no validator is made at start.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from secondunit.daemon.http.contract.expectations import Estimate, Seconds
from secondunit.daemon.http.transport.route import OneOf
from secondunit.queue.ids import PATTERN

EventType = Literal[
    "job:queued", "job:started", "job:progress", "job:retrying",
    "job:completed", "job:partial", "job:failed", "job:cancelled",
]  # fmt: skip
StatusName = Literal["queued", "running", "completed", "partial", "failed", "cancelled"]
JobId = Annotated[str, Meta(pattern=f"^{PATTERN.pattern}$")]
BatchId = Annotated[str, Meta(pattern=f"^{PATTERN.pattern.replace('job', 'batch')}$")]
Time = Annotated[
    str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", extra_json_schema={"format": "date-time"})
]
Percent = Annotated[float, Meta(ge=0, le=100)]
Milliseconds = Annotated[int, Meta(ge=0)]


class Answer(Struct, rename="camel", forbid_unknown_fields=True):
    """Every field is there in each answer, null while it is unknown; but for those that may be UNSET."""


class Accepted(Answer):
    """A job that is on disk. `status` is `queued`, or where the job stands when its idempotency key came again.

    `paused` is there, and true, when an operator has paused the job's type: it waits until that is taken back.
    """

    job_id: JobId
    status: StatusName
    created_at: Time
    paused: Annotated[bool, Meta(extra_json_schema={"default": False})] | UnsetType = UNSET


class Moved(Answer):
    """A job after a move."""

    job_id: JobId
    status: StatusName


class Recipe(Struct, rename="camel"):
    """The recipe of a video, and how it was made; both as the `analyze` job's result has them."""

    job_id: JobId
    recipe: dict[str, Any]
    metadata: dict[str, Any]


ANALYSIS = OneOf(
    "Analysis", "The recipe, or, when the caller does not wait for it, the job that makes it.", (Recipe, Moved)
)


class Failure(Answer):
    """Why a run failed; `type` is a stable word, `message` is for people."""

    kind: Literal["transient", "deterministic", "timeout", "cancelled"] = field(name="class")
    type: str
    message: str


class RunPhase(Answer):
    """A phase of a run; `duration` is null while it goes on."""

    name: str
    started_at: Time
    duration: Milliseconds | None


class Attempt(Answer):
    """One finished run; those that were interrupted share their number with the next.

    `lost`: nobody's fault; the lease ran out, or the daemon died and others ran as well. `crashed`: the daemon died
    under this job alone; the third time ends it as `poison`. `message` says which. `phases` are the last 20, in order.
    """

    attempt: int
    started_at: Time
    finished_at: Time
    duration: Milliseconds
    outcome: str
    message: str | None
    error: Failure | None
    phases: list[RunPhase]


class Summary(Answer):
    """Where a job stands. `started_at` and, once the job has ended, `duration` are those of its last run.

    `first_started_at` is that of its first run, and `total_duration` the time of all its finished runs together, in its
    whole life: waits between them do not count, runs before a retry by hand do. Durations are measured by a clock that
    is never set; where the daemon did not live to see a run's end, by the wall's, and never below 0.

    `source` is who had it done ("api", "backend"), `source_id` what it is called there. `submitted_by` is the name of
    the key that it came with, null without keys, or `backend`. `box` is the only one that may run it, since its input
    is a file there; null where any box may.
    """

    job_id: JobId
    type: str
    status: StatusName
    priority: Annotated[int, Meta(ge=0, le=4)]
    progress: Percent
    phase: str | None
    message: str | None
    attempt: Annotated[int, Meta(ge=1)]
    max_attempts: Annotated[int, Meta(ge=1)]
    error: Failure | None
    created_at: Time
    updated_at: Time
    started_at: Time | None
    finished_at: Time | None
    duration: Milliseconds | None
    first_started_at: Time | None
    total_duration: Milliseconds | None
    run_at: Time | None
    source: str
    source_id: str | None
    submitted_by: str | None
    box: str | None


class Job(Summary):
    """Everything about a job; secrets of its payload read `***`. `paused`: it waits, for its type is paused.

    It starts once the jobs of `depends_on` have ended; `ref` names it in its batch. `phases`: of the run that goes on.

    Once programs ran, `stats` holds `resources`: `cpuSeconds maxRssBytes readBytes writtenBytes peakProcesses`.
    `eta_seconds` to its end and `starts_at` come of earlier runs (docs/resources.md); null where they can't be told.
    The errors are seconds, either way; half of all jobs are nearer. In lists, those that wait may have none.
    """

    payload: dict[str, Any]
    result: Any
    missing: list[Any] | None
    stats: dict[str, Any] | None
    depends_on: list[JobId]
    batch_id: BatchId | None
    ref: str | None
    attempts: list[Attempt]
    phases: list[RunPhase]
    paused: bool
    eta_seconds: Seconds | None
    eta_error_seconds: Seconds | None
    starts_at: Time | None
    starts_at_error_seconds: Seconds | None
    estimate: Estimate | None


class Jobs(Answer):
    """A page of jobs. `total` counts all that match, `queued` and `running` the whole queue.

    A page ends early where its jobs are so large that they would be more than 8 MiB, and a search that would take long
    is cut short: `truncated` says that `total` counts those found so far. A page that is not full is the last one only
    if it has no `next_cursor`, which goes on where it stopped.
    """

    jobs: list[Job]
    total: int
    queued: int
    running: int
    next_cursor: str | None
    truncated: bool


class Refusal(Answer):
    """A job that a move did not reach, by the id that the caller gave."""

    job_id: str
    message: str


class Bulk(Answer):
    """How many jobs a move reached, and which it did not."""

    done: int
    refused: list[Refusal]


class Artifact(Answer):
    """A file that a job wrote: `size` in bytes. `box` is there for one that another box of the queue serves."""

    name: str
    size: int
    content_type: str
    box: str | UnsetType = UNSET


class Artifacts(Answer):
    """The files that a job wrote and that are there now, its log first."""

    artifacts: list[Artifact]


class TypeState(Answer):
    """Whether jobs of a type are started."""

    type: str
    paused: bool


class HealthCondition(Answer):
    """Something that is wrong: its stable word, which of several things it is of (or ""), since when, what to do."""

    reason: str
    subject: str
    text: str
    since: Time
    remedy: str


class Health(Struct):
    """How the daemon is; without a key the status alone. `notes` say what is no fault."""

    status: Literal["ok", "degraded", "draining", "failing"]
    reasons: Annotated[list[str], Meta(extra_json_schema={"default": []})] | UnsetType = UNSET
    conditions: Annotated[list[HealthCondition], Meta(extra_json_schema={"default": []})] | UnsetType = UNSET
    notes: Annotated[list[str], Meta(extra_json_schema={"default": []})] | UnsetType = UNSET


class Document(Struct):
    """An OpenAPI 3.1 document."""

    openapi: str


class FieldFault(Answer):
    """A refused field, by its dotted path as the caller wrote it: `payload.inputPath`, in a batch `jobs.3.type`."""

    field: str
    message: str


class Problem(Answer):
    """Problem details (RFC 9457); of an analysis without a recipe also which job it was, and how that ended."""

    type: str
    title: str
    status: int
    detail: str
    errors: Annotated[list[FieldFault], Meta(extra_json_schema={"default": []})] | UnsetType = UNSET
    job_id: Annotated[JobId | None, Meta(extra_json_schema={"default": None})] | UnsetType = UNSET
    error: Annotated[Failure | None, Meta(extra_json_schema={"default": None})] | UnsetType = UNSET
    trail_job_id: JobId | UnsetType = field(default=UNSET, name="job_id")
    job_status: str | UnsetType = field(default=UNSET, name="job_status")
    strategy_version: str | UnsetType = field(default=UNSET, name="strategy_version")
    run_at: Time | UnsetType = UNSET


class Message(Answer):
    """What happened to a job, as the readers of all jobs hear of it."""

    type: EventType
    job_id: str
    job_type: str
    status: StatusName
    progress: Percent
    phase: str | None
    message: str | None
    attempt: int
    timestamp: Time
    error: Failure | UnsetType = UNSET
    run_at: Time | UnsetType = UNSET


class Reset(Answer):
    """What a reader is told whose missed events are no longer kept: how the jobs stand now."""

    type: Literal["reset"]
    jobs: list[Summary]


EVENT_MESSAGE = OneOf("EventMessage", "What a message of all jobs' stream carries.", (Message, Reset))
