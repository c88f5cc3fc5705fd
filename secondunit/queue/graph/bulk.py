"""Bulk moves: one move over many jobs, each by itself, in the order that what depends on what asks for."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime

from secondunit.queue.errors import JobNotFound, NotAllowed, Saturated
from secondunit.queue.graph.binding import parents_first
from secondunit.queue.model import Job, JobId, Status
from secondunit.queue.sentences import say
from secondunit.queue.value import Value

Move = Callable[[JobId], Awaitable[Job]]
LIVE = [status for status in Status if not status.ended]
_End = tuple[Status, int, datetime | None]


class Bulk(Value, frozen=True):
    """What a move over many jobs did: the ids it moved, and the ones it could not, each with the reason."""

    done: Sequence[JobId]
    refused: Sequence[tuple[JobId, str]]


async def moved(jobs: AsyncIterator[Job], move: Move, fits: Callable[[Status], bool]) -> Bulk:
    """Move every job whose status fits."""
    done: list[JobId] = []
    refused: list[tuple[JobId, str]] = []
    async for job in jobs:
        unfit = None if fits(job.status) else say("it is {status}", status=say(job.status.value))
        why = unfit or await _refusal(job.id, move)
        if why is None:
            done.append(job.id)
        else:
            refused.append((job.id, why))
    return Bulk(done, refused)


async def cancelled(jobs: AsyncIterator[Job], cancel: Move) -> Bulk:
    """Cancel the live ones: of a batch, whose jobs come together, children first; none fails for its parent's sake."""
    return await moved(_children_first(jobs), cancel, lambda status: not status.ended)


async def retried(jobs: AsyncIterator[Job], retry: Move, get: Move) -> Bulk:
    """Retry those that ended. Who came back with a parent is done, and not queued once more.

    Who can't come for the sake of a parent is asked again, as long as that brings any further: the parent may be
    among those that were retried after it.
    """
    ends: dict[JobId, _End] = {}

    async def noted() -> AsyncIterator[Job]:
        async for job in jobs:
            if job.depends_on and job.status.ended:
                ends[job.id] = _end(job)
            yield job

    async def again(job_id: JobId) -> Job:
        if job_id in ends and _end(job := await get(job_id)) != ends[job_id]:
            return job
        return await retry(job_id)

    told = await moved(noted(), again, lambda status: status.ended)
    done, refused, came = [*told.done], dict(told.refused), told.done
    while came:
        late = {job_id: await _refusal(job_id, again) for job_id in reversed(refused) if job_id in ends}
        came = [job_id for job_id, why in late.items() if why is None]
        done += came
        refused = {job_id: why for job_id, was in refused.items() if (why := late.get(job_id, was)) is not None}
    return Bulk(done, list(refused.items()))


async def retried_batch(jobs: AsyncIterator[Job], retry: Move, get: Move) -> Bulk:
    """Retry the failed jobs of a batch, parents first; those that failed for the sake of one come back with it."""
    ordered = parents_first([job async for job in jobs])
    return await retried(_each([job for job in ordered if job.status is Status.FAILED]), retry, get)


async def _refusal(job_id: JobId, move: Move) -> str | None:
    """Why the move was refused; None where it was done."""
    try:
        await move(job_id)
    except NotAllowed as error:
        return error.why
    except (JobNotFound, Saturated) as error:
        return str(error)
    return None


async def _children_first(jobs: AsyncIterator[Job]) -> AsyncIterator[Job]:
    async for together in _by_batch(jobs):
        for job in parents_first(together)[::-1]:
            yield job


async def _by_batch(jobs: AsyncIterator[Job]) -> AsyncIterator[Sequence[Job]]:
    together: list[Job] = []
    async for job in jobs:
        if together and (job.batch is None or job.batch != together[-1].batch):
            yield together
            together = []
        together.append(job)
    yield together


def _end(job: Job) -> _End:
    """Which of its ends it is at."""
    return job.status, job.epoch, job.finished_at


async def _each(jobs: Sequence[Job]) -> AsyncIterator[Job]:
    for job in jobs:
        yield job
