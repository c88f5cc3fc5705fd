"""Bulk moves: one move over many jobs, each by itself; of a batch in the order that its graph asks for."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from secondunit.queue.errors import JobNotFound, NotAllowed, Saturated
from secondunit.queue.graph.binding import parents_first
from secondunit.queue.graph.moves import PARENT_FAILED
from secondunit.queue.model import Job, JobId, Status
from secondunit.queue.sentences import say
from secondunit.queue.value import Value

Move = Callable[[JobId], Awaitable[Job]]


class Bulk(Value, frozen=True):
    """What a move over many jobs did: the ids it moved, and the ones it could not, each with the reason."""

    done: Sequence[JobId]
    refused: Sequence[tuple[JobId, str]]


async def moved(jobs: AsyncIterator[Job], move: Move, fits: Callable[[Status], bool]) -> Bulk:
    """Move every job whose status fits."""
    done: list[JobId] = []
    refused: list[tuple[JobId, str]] = []
    async for job in jobs:
        if not fits(job.status):
            refused.append((job.id, say("it is {status}", status=say(job.status.value))))
            continue
        try:
            await move(job.id)
            done.append(job.id)
        except NotAllowed as error:
            refused.append((job.id, error.why))
        except (JobNotFound, Saturated) as error:
            refused.append((job.id, str(error)))
    return Bulk(done, refused)


async def cancelled(jobs: AsyncIterator[Job], cancel: Move) -> Bulk:
    """Cancel the live jobs of a batch: children first, so that none fails for its parent's sake."""
    live = [job for job in parents_first([job async for job in jobs]) if not job.status.ended]
    return await moved(_each(live[::-1]), cancel, _live)


async def retried(jobs: AsyncIterator[Job], retry: Move, get: Move) -> Bulk:
    """Retry the failed jobs of a batch, parents first; those that failed for the sake of one come back with it."""
    failed = [job for job in parents_first([job async for job in jobs]) if job.status is Status.FAILED]

    async def again(job_id: JobId) -> Job:
        job = await get(job_id)
        by_parent = job.error is not None and job.error.type == PARENT_FAILED
        return job if job_id in followers and not (job.status is Status.FAILED and by_parent) else await retry(job_id)

    followers = {job.id for job in failed if job.error and job.error.type == PARENT_FAILED}
    return await moved(_each(failed), again, lambda _: True)


def _live(status: Status) -> bool:
    return not status.ended


async def _each(jobs: Sequence[Job]) -> AsyncIterator[Job]:
    for job in jobs:
        yield job
