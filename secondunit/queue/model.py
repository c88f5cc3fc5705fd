"""Domain model of the queue: frozen values, without I/O, without rules."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import Any, Literal

from secondunit.queue.outcome import JobError
from secondunit.queue.phases import Phase
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.value import Value

JobId = str
BatchId = str
OnParentFailure = Literal["fail", "cancel", "run"]


class Status(StrEnum):
    """Where a job stands; a job that waits for its next attempt is `queued` with a `run_at`."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    ended: bool  # whether no run follows unless somebody asks for one
    value = property(attrgetter("_value_"))  # Enum's own is two calls of Python; a job's way asks for it 15 times

    def __init__(self, word: str) -> None:
        self.ended = word not in ("queued", "running")


ENDED = tuple(status for status in Status if status.ended)
HIGHEST_PRIORITY, LOWEST_PRIORITY, DEFAULT_PRIORITY = 0, 4, 2


class Idempotency(Value, frozen=True):
    """A client's key for one request, and the digest of that request: the same key with another digest is refused."""

    key: str
    digest: bytes


class Target(Value, frozen=True):
    """Where the news of a job's end goes: `kind` names the sender ("callback", "backend"), `address` is its affair."""

    kind: str
    address: str


class Bonds(Value, frozen=True):
    """How a job hangs on others: it starts once those that it `depends_on` have ended.

    Where one of these ends without success, the job fails or is cancelled, too, or runs nonetheless. `ref` is its name
    within its batch; in what is asked for, `depends_on` may hold such names, in a stored job only ids.
    """

    depends_on: Sequence[JobId] = ()
    on_parent_failure: OnParentFailure = "fail"
    ref: str | None = None


class Submission(Value, frozen=True):
    """A job as it is asked for; a priority or a retry policy that is None comes from its type.

    `dedupe_key` lets one live job stand for all who ask for the same work; `source` says who asked ("api", "backend").
    `labels` are the asker's own facts about the job (a video's id), kept and given back, never read here.
    `submitted_by` names the asker for people, `owner` is its access key's prefix; only `box` has what the job reads.
    """

    type: str
    payload: Mapping[str, Any]
    priority: int | None = None
    target: Target | None = None
    retry: RetryPolicy | None = None
    timeout: timedelta | None = None
    run_at: datetime | None = None
    idempotency: Idempotency | None = None
    dedupe_key: str | None = None
    source: str = "api"
    labels: Mapping[str, str] = {}
    submitted_by: str | None = None
    owner: str | None = None
    bonds: Bonds | None = None
    batch: BatchId | None = None
    box: str | None = None


class Lease(Value, frozen=True):
    """The right to run one job until `until`: only a write that carries the current epoch and boot counts."""

    job_id: JobId
    epoch: int
    boot: str
    until: datetime


class Run(Value, frozen=True):
    """One finished run of a job, for its history; `outcome` is a word such as "failed" or "interrupted".

    `took` is how long it ran by a clock that is never set; by the wall's where the daemon did not live to see its end.
    `why` says in words what the outcome does not, `receipt` a remote worker's call that ended it, `box` where it ran.
    """

    attempt: int
    epoch: int
    started_at: datetime
    finished_at: datetime
    outcome: str
    error: JobError | None = None
    took: timedelta = timedelta(0)
    why: str | None = None
    receipt: str | None = None
    phases: Sequence[Phase] = ()
    box: str | None = None


class Suspicion(Value, frozen=True):
    """The daemon of `boot` died while this job, `lived` old, and `beside` others ran; `entered_at`: its phase."""

    boot: str
    beside: int
    progress: float
    lived: timedelta
    entered_at: datetime


class Job(Submission, frozen=True, kw_only=True):
    """A job as it stands: what was asked for, and what became of it.

    `attempt` numbers the current or next attempt, from 1. `reclaims` counts the daemon's deaths that are charged to the
    job since its last finished step, `interruptions` runs that were stopped at no cost. `progress` is 0 to 1, and
    `entered_at` when the run entered its phase or finished a step. `seq` is the order of submission, 0 until stored.
    `sharers` counts the callers that one deduplicated job serves. `run_at` is when the next attempt may start.
    `started_at` is that of its last run; over its whole life, retries by hand too, `first_started_at` stays and
    `worked` sums all runs. `waiting_for` counts the jobs it depends on that have not ended, as far as it was told, and
    a `followed` one is itself depended on.
    """

    id: JobId
    status: Status
    priority: int
    retry: RetryPolicy
    created_at: datetime
    updated_at: datetime
    seq: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    first_started_at: datetime | None = None
    worked: timedelta = timedelta(0)
    attempt: int = 1
    reclaims: int = 0
    interruptions: int = 0
    epoch: int = 0
    lease: Lease | None = None
    cancel_requested: bool = False
    progress: float = 0.0
    phase: str | None = None
    message: str | None = None
    result: Any = None
    missing: Sequence[Any] | None = None
    error: JobError | None = None
    stats: Mapping[str, Any] | None = None
    sharers: int = 1
    runs: Sequence[Run] = ()
    entered_at: datetime | None = None
    phases: Sequence[Phase] = ()
    suspicion: Suspicion | None = None
    waiting_for: int = 0
    followed: bool = False

    @property
    def depends_on(self) -> Sequence[JobId]:
        """The jobs that it depends on."""
        return self.bonds.depends_on if self.bonds else ()

    @property
    def duration(self) -> timedelta | None:
        """How long the last run of an ended job took; None if it never ran."""
        return self.runs[-1].took if self.status.ended and self.started_at and self.runs else None


EventName = Literal["queued", "started", "progress", "retrying", "completed", "partial", "failed", "cancelled", "data"]


class Event(Value, frozen=True):
    """Something that happened to a job, as its readers see it.

    Lifecycle events are stored and have a `seq` above 0, the order in which every reader gets them. `progress` and
    `data` (what a handler publishes by `ctx.partial`) are live only: `seq` 0. One that ends a run has its `duration`.
    """

    job_id: JobId
    job_type: str
    name: EventName
    at: datetime
    status: Status
    progress: float = 0.0
    phase: str | None = None
    message: str | None = None
    attempt: int = 1
    error: JobError | None = None
    run_at: datetime | None = None
    duration: timedelta | None = None
    data: Any = None
    seq: int = 0
    owner: str | None = None


class Notice(Value, frozen=True):
    """A delivery that became due: what the receiver is to be told of a job's end, frozen at that moment."""

    target: Target
    job_id: JobId
    job_type: str
    status: Status
    epoch: int
    at: datetime
    result: Any
    error: JobError | None
    duration: timedelta | None
    source: str
    labels: Mapping[str, str]


class Change(Value, frozen=True):
    """The whole effect of one move, stored in one transaction: the next job, its event, its delivery if one is due."""

    job: Job
    event: Event | None = None
    notice: Notice | None = None


TermKey = Literal["word", "type", "status", "class", "error", "key", "by", "since", "until", "path", "url"]


class Term(Value, frozen=True):
    """One condition of a search: `key` of a job is one of `values`, a text holds the one, or it was made at `at`."""

    key: TermKey
    values: tuple[str, ...]
    negated: bool = False
    at: datetime | None = None


class Filter(Value, frozen=True):
    """Which jobs are meant; an empty field does not restrict.

    `terms` are those of a query; they look into the payloads of types that `searchable` names, but not its fields.
    """

    statuses: Sequence[Status] = ()
    types: Sequence[str] = ()
    ids: Sequence[JobId] = ()
    owner: str | None = None
    batch: BatchId | None = None
    terms: Sequence[Term] = ()
    searchable: Mapping[str, Sequence[str]] = {}


class Batch(Value, frozen=True):
    """Jobs that were submitted together, `total` of them; `finished_at` is set while all of them have ended.

    `target` is told of that, each time it comes about. `name` is for people, `owner` the prefix of the access key.
    """

    id: BatchId
    created_at: datetime
    name: str | None = None
    target: Target | None = None
    owner: str | None = None
    total: int = 0
    finished_at: datetime | None = None


class Page(Value, frozen=True):
    """Jobs newest first, `total` of all that match, and where the next page begins (a `seq`), if there is one.

    `truncated`: a search was cut short, `total` counts what it found, and after a page that is not full comes another.
    """

    jobs: Sequence[Job]
    total: int
    next_cursor: int | None
    truncated: bool = False


class Counts(Value, frozen=True):
    """How many jobs stand where, per type (by status: all there are), and since when the heads of lines are ready."""

    queued: Mapping[str, int]
    running: Mapping[str, int]
    ended: Mapping[str, int]
    oldest_ready: datetime | None
    completed: Mapping[str, int] = {}
    by_status: Mapping[str, Mapping[str, int]] = {}
