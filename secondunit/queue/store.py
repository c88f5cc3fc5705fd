"""Store port: what must not be lost. A new engine implements it and passes `secondunit.testing.store_contract`."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from secondunit.queue.durable_files import Marks
from secondunit.queue.graph.port import Graph
from secondunit.queue.model import Batch, Change, Counts, Event, Filter, Job, JobId, Lease, Notice, Page
from secondunit.queue.ports.access import AccessKeys, AuditTrail
from secondunit.queue.ports.boxes import Boxes
from secondunit.queue.ports.cache import Cache
from secondunit.queue.ports.deliveries import Try
from secondunit.queue.ports.duties import Duties, Duty
from secondunit.queue.ports.engine import Engine
from secondunit.queue.ports.folders import Folders
from secondunit.queue.ports.pruning import Prune
from secondunit.queue.ports.schedules import Schedules, ScheduleState
from secondunit.queue.sight.port import Sight
from secondunit.queue.state import QueueLimits
from secondunit.queue.value import Value

Decide = Callable[[Job], Change]
Listener = Callable[[Sequence[Event]], None]
PAGE = 200


class Step(Value, frozen=True):
    """A step of a job: `done` once its result is stored; until then each of its `sends` is in doubt.

    `files` says what the files that the result points to are known by (`durable_files`), if it points to any.
    """

    job_id: JobId
    name: str
    done: bool
    result: Any
    sends: int
    at: datetime
    files: Marks | None = None


class Delivery(Value, frozen=True):
    """A notice on its way: the same `id` at every try. `attempts` counts tries; `tries` are the last, oldest first."""

    id: str
    notice: Notice
    state: Literal["pending", "delivered", "dead"]
    attempts: int
    created_at: datetime
    next_at: datetime | None
    finished_at: datetime | None = None
    last_status: int | None = None
    last_error: str | None = None
    tries: Sequence[Try] = ()


class Steps(Protocol):
    """Results of finished steps, and intents of paid ones. Writes are fenced: a stale lease raises LeaseLost."""

    async def get(self, job_id: JobId, name: str) -> Step | None: ...

    async def of_job(self, job_id: JobId) -> Sequence[Step]: ...

    async def intend(self, lease: Lease, name: str, now: datetime) -> Step:
        """Record that a paid call is about to be sent; `sends` counts it."""
        ...

    async def finish(
        self, lease: Lease, name: str, result: Any, decide: Decide, now: datetime, *, files: Marks | None = None
    ) -> Job:
        """Store the step's result, its files' marks and, in the same transaction, the job as `decide` leaves it."""
        ...

    async def forget(self, lease: Lease, name: str) -> None:
        """The step's call is known not to have been made (or charged): withdraw its last intent."""
        ...


class Outbox(Protocol):
    """Deliveries, written with the ends they tell of: `first_pending` of a job, the last jobs with a `given_up` one."""

    async def get(self, delivery_id: str) -> Delivery:
        """The delivery, or KeyError."""
        ...

    async def of_job(self, job_id: JobId) -> Sequence[Delivery]:
        """A job's last deliveries, oldest first: at most PAGE, and PAGE_BYTES of notices unless it is one alone."""
        ...

    async def first_pending(self, job_id: JobId) -> str | None: ...

    async def given_up(self, limit: int) -> Sequence[JobId]: ...

    async def due(
        self, now: datetime, limit: int, *, except_for: Sequence[str] = (), kinds: Sequence[str] | None = None
    ) -> tuple[Sequence[Delivery], bool]:
        """Pending deliveries that are due, oldest first, at most one of a job; not those of `except_for`, in flight.

        Of these `kinds` of targets only; None: of all. At most as much as a page holds, and whether more follow.
        """
        ...

    async def next_due(self, kinds: Sequence[str] | None = None) -> datetime | None:
        """When the next pending delivery is due, of these kinds."""
        ...

    async def change(
        self, delivery_id: str, decide: Callable[[Delivery], Delivery], *, duty: Duty | None = None
    ) -> Delivery:
        """Load, decide, write in one transaction; `decide` sees the delivery as it stands. A lost `duty`: DutyLost."""
        ...

    async def counts(self) -> Mapping[str, int]: ...


class Store(Protocol):
    """Jobs and their events. Every write is one transaction: all of it, or nothing and an error."""

    @property
    def steps(self) -> Steps: ...

    @property
    def outbox(self) -> Outbox: ...

    @property
    def cache(self) -> Cache: ...

    @property
    def folders(self) -> Folders: ...

    @property
    def keys(self) -> AccessKeys: ...

    @property
    def audit(self) -> AuditTrail: ...

    @property
    def sight(self) -> Sight: ...

    @property
    def schedules(self) -> Schedules: ...

    @property
    def duties(self) -> Duties: ...

    @property
    def graph(self) -> Graph: ...

    @property
    def boxes(self) -> Boxes: ...

    @property
    def engine(self) -> Engine:
        """The database beneath, for its operator."""
        ...

    @property
    def generation(self) -> str:
        """Names this line of event numbers; a restored backup begins a new one."""
        ...

    @property
    def secret(self) -> bytes:
        """32 bytes that nobody outside knows, the same for as long as the database lives."""
        ...

    def listen(self, listener: Listener) -> None:
        """Call `listener` with the stored events of each commit, in `seq` order, after it."""
        ...

    async def add(
        self,
        changes: Sequence[Change],
        limits: QueueLimits = QueueLimits(),
        schedule: ScheduleState | None = None,
        batch: Batch | None = None,
        duty: Duty | None = None,
    ) -> Sequence[tuple[Job, bool]]:
        """Store submitted jobs, all or none; for one whose idempotency or dedupe key is taken, (that job, False).

        Raises KeyReused when that key came with another digest, Saturated when the new ones are more than `limits`
        allow, counted in this transaction, BadDependencies for an unknown parent, DutyLost. Idempotency keys live 24
        hours. A `schedule`'s state is stored in it, with these jobs (`with_jobs`); ScheduleChanged as there.
        """
        ...

    async def known(self, key: str, now: datetime) -> tuple[JobId, bytes] | None:
        """The job an idempotency key stands for, and the digest of its request."""
        ...

    async def get(self, job_id: JobId) -> Job:
        """The job, or JobNotFound."""
        ...

    async def live_twin(self, dedupe_key: str) -> Job | None:
        """The live job with this dedupe key."""
        ...

    async def find(self, filter: Filter, cursor: int | None, limit: int, *, counted: bool = True) -> Page:
        """Jobs newest first, those submitted before `cursor`; `total` may be anything unless it is to be `counted`.

        A page ends early where it would hold more than PAGE_BYTES, but not before its first job; and what has terms
        may be cut short, so that it blocks nobody. The cursor goes on where it stopped.
        """
        ...

    async def counts(self) -> Counts: ...

    async def claim(
        self,
        room: Mapping[str, int],
        limit: int,
        boot: str,
        ttl: timedelta,
        now: datetime,
        *,
        box: str | None = None,
        overall: Mapping[str, int] = {},
        most_bytes: int | None = None,
    ) -> Sequence[Job]:
        """Lease the next jobs, by (priority, submission): at most `room[type]` of each type and `limit` in all.

        Those that are due, no suspects, waiting for no other job; each is changed exactly as `state.start` says. For a
        `box`, of those that are bound to one its own alone; None: any. No more than `overall[type]` then run of a type,
        whoever runs them, however many claim at once. And no more than, with what their steps and parents have stored,
        are `most_bytes`, unless it is one alone: those that follow are not touched.
        """
        ...

    async def extend(self, leases: Sequence[Lease], until: datetime, now: datetime) -> Mapping[JobId, Job]:
        """Renew those of the leases that still hold (same epoch and boot, not run out at `now`); absent means lost."""
        ...

    async def change(
        self, job_id: JobId, decide: Decide, *, lease: Lease | None = None, limits: QueueLimits = QueueLimits()
    ) -> Job:
        """Load the job, decide, write job, event and delivery. With a `lease` that no longer holds: LeaseLost.

        A lease that ran out still holds until somebody expires it. An error that `decide` raises changes nothing.
        An ended job that is queued again counts against `limits` as one that is added, one that starts against those
        of what runs: NotAllowed.
        """
        ...

    async def expired(self, now: datetime, boot: str, limit: int) -> Sequence[Lease]:
        """Leases that ran out before `now`, and all leases of other boots."""
        ...

    async def suspects(self) -> Sequence[Job]:
        """Live jobs under suspicion, by submission; `claim` leaves them out, `change` starts them."""
        ...

    async def stopping(self, boot: str) -> None:
        """The daemon of this boot was asked to stop: if leases of it are left, it did not die of what ran."""
        ...

    async def was_stopping(self, boot: str) -> bool:
        """Whether that was said of this boot, and of none since."""
        ...

    async def shift(self, delta: timedelta) -> None:
        """The clock was set by `delta`: move what came of it (leases, retries), not what callers asked for."""
        ...

    async def next_due(self, types: Sequence[str]) -> datetime | None:
        """When the next waiting job of these types becomes ready."""
        ...

    async def age(self, now: datetime, step: timedelta, limit: int) -> int:
        """Raise the hidden rank of jobs that have been ready for another `step`, up to the highest; how many."""
        ...

    async def events(self, after: int, filter: Filter, limit: int) -> Sequence[Event]:
        """Stored events with a greater `seq`, in order; of `filter`, types, ids and owner count."""
        ...

    async def event_bounds(self) -> tuple[int, int]:
        """The first `seq` from which on none was pruned (1 at first), and the last one given out (0 for none)."""
        ...

    async def pause(self, type: str, paused: bool) -> None: ...

    async def paused(self) -> frozenset[str]: ...

    async def limit(self, type: str, concurrency: int | None) -> None:
        """Remember how many jobs of a type may run at once, for `limits` to tell; None: as its settings say."""
        ...

    async def limits(self) -> Mapping[str, int]: ...

    async def prune(self, what: Prune) -> Sequence[JobId]:
        """Forget ended jobs past their time with their steps, deliveries and old events; which jobs.

        One with a pending delivery, a live cache entry, a live batch or a live child is kept. Expired keys, cache and
        audit entries go too, and boxes not seen since `before` (drained ones `failed_before`).
        """
        ...

    async def close(self) -> None: ...
