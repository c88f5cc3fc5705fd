"""Response models of sight: why a job waits, the job types, statistics, errors, the system."""

from typing import Annotated, Literal

from msgspec import Meta

from secondunit.daemon.http.contract.responses import Answer, JobId, Milliseconds, StatusName, Time
from secondunit.queue.sight.explain import MOST_NAMED, Reason


class Explained(Answer):
    """Why a job is where it is, as the next claim judges it; `sentence` tells a person, in one line, with its figures.

    `until` is when it may start where that is known, `ahead` how many start before it where that can be told, and
    `blocked_by` the jobs that it waits for: first those that run, then those that stand before it.
    """

    job_id: JobId
    status: StatusName
    reason: Reason
    sentence: str
    until: Time | None
    ahead: Annotated[int, Meta(ge=0)] | None
    blocked_by: Annotated[list[JobId], Meta(max_length=MOST_NAMED)]


class TypeRetry(Answer):
    """When a failed attempt of a job is tried again, unless the job says otherwise; `initial_delay` in milliseconds."""

    max_retries: Annotated[int, Meta(ge=0)]
    backoff: Literal["exponential", "fixed"]
    initial_delay: Milliseconds


class JobType(Answer):
    """A job type that is served. `concurrency` of its jobs run at once; `source` says where its code is."""

    type: str
    concurrency: Annotated[int, Meta(ge=1)]
    running: int
    queued: int
    paused: bool
    timeout_seconds: float
    stall_seconds: float
    retry: TypeRetry
    source: str


class JobTypes(Answer):
    """The job types that are served, by name."""

    types: list[JobType]
