"""Error tree: every error the queue raises towards its callers; each carries its data.

QueueError
├── JobNotFound          no job has that id
├── BatchNotFound        no batch has that id
├── BoxNotFound          no box has that name
├── BoxTaken             another daemon of this queue lives under the name of this box
├── NotAllowed           the job's status forbids the move (ended, shared, not ended)
│   └── SecretsStruck    a retry needs fields of its payload that were struck out when it ended
├── LeaseLost            a fenced write came with an epoch that no longer holds the job
├── DutyLost             a write came under a duty that another box has had since
├── ScheduleChanged      a schedule was moved by another box since it was read
├── KeyReused            an idempotency key came back with another request
├── UnknownType          no handler serves this job type
├── TypeUnavailable      the type is known, but lacks something here (a key, a program)
├── BadPayload           fields of a payload that were refused, each with its reason
├── BadDependencies      jobs were to depend on what is not there, or on each other
├── TypeBroken           the type's own code failed while it judged a payload
├── TooManyWaiting       so many calls of one key wait for jobs already
├── Saturated            the queue holds as many jobs as it may
├── Draining             the daemon takes no new work
├── StoreFull            the disk has no room; what was asked for is not on it
├── NotMoved             a queue was not moved to another database; both are as they were
└── StoreBroken          the database can't be trusted or reached; nothing was acknowledged
"""

from collections.abc import Sequence

from secondunit.queue.value import Value


class QueueError(Exception):
    """Anything the queue refuses."""


class JobNotFound(QueueError):
    """No job has this id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"no job has the id {job_id}")
        self.job_id = job_id


class BatchNotFound(QueueError):
    """No batch has this id."""

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"no batch has the id {batch_id}")
        self.batch_id = batch_id


class BoxNotFound(QueueError):
    """No box has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no box is called {name!r}; `secondunit boxes` and GET /api/boxes list them all")
        self.name = name


class BoxTaken(QueueError):
    """Another daemon of the queue, of this boot, lives under the name of this box."""

    def __init__(self, name: str, boot: str, address: str) -> None:
        super().__init__(
            f"BOX: {name} is the name of another daemon on this queue (boot {boot}, at {address}), and each would free"
            " what the other runs; stop that one, or give this one a BOX of its own"
        )
        self.name = name
        self.boot = boot
        self.address = address


class NotAllowed(QueueError):
    """The job's present status forbids the move."""

    def __init__(self, job_id: str, why: str) -> None:
        super().__init__(f"{job_id}: {why}")
        self.job_id = job_id
        self.why = why


class LeaseLost(QueueError):
    """A fenced write carried a lease that no longer holds its job; it changed nothing."""

    def __init__(self, job_id: str, epoch: int, why: str = "") -> None:
        super().__init__(why or f"epoch {epoch} no longer holds {job_id}")
        self.job_id = job_id
        self.epoch = epoch


class DutyLost(QueueError):
    """A write came under a duty that another box has had since; nothing was changed."""

    def __init__(self, duty: str, term: int) -> None:
        super().__init__(f"{duty}: the duty's term {term} is over, another box has it")
        self.duty = duty
        self.term = term


class ScheduleChanged(QueueError):
    """A schedule's state was to be replaced, and is not the one any more that was read; nothing was changed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the schedule {name} was moved by another box meanwhile")
        self.name = name


class KeyReused(QueueError):
    """An idempotency key came back with a different request."""

    def __init__(self, key: str, job_id: str) -> None:
        super().__init__(
            f"the idempotency key was used for {job_id} with another body; send a new key for a new request"
        )
        self.key = key
        self.job_id = job_id


class UnknownType(QueueError):
    """No handler serves this type."""

    def __init__(self, type: str, known: tuple[str, ...], boxes: Sequence[str] = ()) -> None:
        there = f"; submit it to a box that runs it: {', '.join(boxes)}" if boxes else ""
        super().__init__(f"unknown job type {type!r}; known are {', '.join(known)}{there}")
        self.type = type
        self.known = known


class TypeUnavailable(QueueError):
    """The type exists but lacks something on this box; `remedy` says what to set or install."""

    def __init__(self, type: str, remedy: str) -> None:
        super().__init__(f"{type} can't run here: {remedy}")
        self.type = type
        self.remedy = remedy


class FieldError(Value, frozen=True):
    """One refused field: a dotted path into the payload ("" is all of it), and what is wrong with its value."""

    field: str
    message: str


class SecretsStruck(NotAllowed):
    """The job can't be retried: the secrets in its payload were struck out, when it ended or a day after it failed."""

    def __init__(self, job_id: str, fields: Sequence[str]) -> None:
        super().__init__(job_id, f"{', '.join(fields)} was struck out of its payload; submit it again with that")
        gone = "was struck out after the job had ended, as a secret; submit the job again with it"
        self.errors = tuple(FieldError(f"payload.{field}", gone) for field in fields)


class BadPayload(QueueError):
    """Fields of a payload that were refused."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(f"{e.field}: {e.message}" if e.field else e.message for e in errors))
        self.errors = errors


class Misplaced(Value, frozen=True):
    """What is wrong with a name of a parent: it stands at `place` in the `index`-th of the jobs that were submitted."""

    index: int
    place: str
    why: str


class BadDependencies(QueueError):
    """Names of parents that were refused."""

    def __init__(self, faults: Sequence[Misplaced]) -> None:
        super().__init__("; ".join(f"{fault.place} of job {fault.index}: {fault.why}" for fault in faults))
        self.faults = faults


class TypeBroken(QueueError):
    """The type's own model or check failed while it judged a payload, and said nothing of the payload: `why`."""

    def __init__(self, type: str, why: str) -> None:
        super().__init__(f"{type} can't judge this payload, which is a fault of the job type; the log has the cause")
        self.type = type
        self.why = why


class TooManyWaiting(QueueError):
    """As many calls of one key as may wait for jobs do so."""


class Saturated(QueueError):
    """The queue is at MAX_QUEUED_JOBS, or what one key has in it at MAX_QUEUED_PER_KEY; nothing was stored."""


class Draining(QueueError):
    """The daemon is shutting down and takes no new work."""


class StoreFull(QueueError):
    """The disk is full: nothing of the request was stored."""


class NotMoved(QueueError):
    """A queue was not moved: the source is as it was, and of the target nothing is there that was not before."""


class StoreBroken(QueueError):
    """The database or its disk failed: nothing of the request was acknowledged, and the process must end.

    `remedy`, where there is one, says what to look at.
    """

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.remedy = remedy
