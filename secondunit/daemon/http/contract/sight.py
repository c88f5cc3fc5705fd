"""Serializers of sight: answers of the daemon as `sight_responses` describes them."""

from collections.abc import Iterable

from secondunit.daemon.formats import instant, milliseconds
from secondunit.daemon.http.contract import sight_responses as responses
from secondunit.daemon.sight.types import ServedType
from secondunit.queue.model import Job
from secondunit.queue.sight.explain import Explanation


def explained(job: Job, told: Explanation, *, whole: bool) -> responses.Explained:
    """Why a job is where it is; unless `whole`, without naming others, of which the caller may not know."""
    return responses.Explained(
        job_id=job.id,
        status=job.status.value,
        reason=told.reason,
        sentence=told.sentence,
        until=instant(told.until),
        ahead=told.ahead,
        blocked_by=list(told.blocked_by) if whole else [],
    )


def types(served: Iterable[ServedType]) -> responses.JobTypes:
    """The job types."""
    return responses.JobTypes([_type(one) for one in served])


def one_type(type: str, served: Iterable[ServedType]) -> responses.JobType:
    """That of them."""
    return next(_type(one) for one in served if one.spec.type == type)


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
    )
