"""Batches: many jobs as the queue is asked for them, in turns with whoever else needs the loop; and what is told."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any

from msgspec import UNSET
from pydantic import Field, ValidationError

from secondunit.daemon.access.callers import Caller
from secondunit.daemon.formats import instant
from secondunit.daemon.http.contract import operations_responses, serialize
from secondunit.daemon.http.contract.requests import LARGEST_BATCH, Ask, BatchJobAsk, submission, taken
from secondunit.daemon.http.written_values import Digits
from secondunit.handlers.tools.network.addresses import AddressRule, check_url
from secondunit.queue.errors import BadDependencies, BadPayload, FieldError
from secondunit.queue.handler import Registry
from secondunit.queue.model import Batch, Idempotency, Job, Status, Submission, Target
from secondunit.queue.payloads.field_faults import MOST_FAULTS, faults_of, too_many
from secondunit.queue.turns import made_in_turns


class BatchesQuery(Ask):
    """Which page of the batches, and how long it is."""

    limit: Annotated[int, Field(ge=1, le=100), Digits] = 20
    cursor: str | None = Field(None, max_length=100, description="the `nextCursor` of the page before")


class Frame(Ask):
    """A batch before its jobs are looked at."""

    jobs: list[Any] = Field(min_length=1, max_length=LARGEST_BATCH)
    callback: str | None = None
    name: str | None = Field(None, min_length=1, max_length=200)


def frame(content: Mapping[str, Any]) -> Frame:
    """The batch, or BadPayload."""
    return taken(Frame, content)


def target(frame: Frame, rule: AddressRule) -> Target | None:
    """Who is told of the batch's end."""
    if frame.callback is None:
        return None
    check_url("callback", frame.callback, rule)
    return Target("callback", frame.callback)


async def asked(frame: Frame) -> Sequence[BatchJobAsk]:
    """What is asked for of each job, or BadPayload naming the fields at fault (`jobs.3.type`)."""
    faults: list[FieldError] = []
    count = 0

    def judged(place: tuple[int, Any]) -> BatchJobAsk | None:
        nonlocal count
        index, job = place
        try:
            return BatchJobAsk.model_validate(job)
        except ValidationError as error:
            count += error.error_count()
            if count > MOST_FAULTS:  # what else is wrong nobody reads, and it takes its time
                raise BadPayload(too_many(count)) from None
            faults.extend(_placed(index, fault) for fault in faults_of(error, job))
        return None

    asks = await made_in_turns(judged, [*enumerate(frame.jobs)])
    if faults:
        raise BadPayload(*faults)
    return [ask for ask in asks if ask is not None]


async def submissions(
    asks: Sequence[BatchJobAsk],
    registry: Registry,
    rule: AddressRule,
    keys: Sequence[Idempotency | None],
    by: Caller,
    batch: Batch,
) -> Sequence[Submission]:
    """What the queue is asked for."""

    def meant(place: tuple[int, BatchJobAsk, Idempotency | None]) -> Submission:
        index, ask, key = place
        return submission(ask, registry, rule, key, by, f"jobs.{index}.", batch.id)

    return await made_in_turns(meant, [*zip(range(len(asks)), asks, keys, strict=True)])


def misplaced(error: BadDependencies, *, in_batch: bool = False) -> BadPayload:
    """Names of parents that were refused, as fields of the request."""
    return BadPayload(
        *(
            FieldError(f"jobs.{fault.index}.{fault.place}" if in_batch else fault.place, fault.why)
            for fault in error.faults[:MOST_FAULTS]
        )
    )


def accepted(jobs: Sequence[Job], paused: Collection[str]) -> operations_responses.Batch:
    """The jobs of a batch as their submitter hears of them; those that came together have one time, written once."""
    written = lru_cache(maxsize=1)(instant)
    told = [
        operations_responses.BatchJob(
            job.id,
            job.bonds.ref if job.bonds else None,
            job.status.value,
            written(job.created_at),
            serialize.waits(job, paused) or UNSET,
        )
        for job in jobs
    ]
    return operations_responses.Batch(jobs[0].batch, told)


def all_told(found: Sequence[tuple[Batch, Mapping[Status, int]]], limit: int) -> operations_responses.Batches:
    """A page of batches; `found` may hold one more than fits on it."""
    rows = [
        operations_responses.BatchSummary(
            batch.id,
            batch.name,
            batch.total,
            {status.value: n for status, n in standing.items() if n},
            instant(batch.created_at),
            instant(batch.finished_at),
        )
        for batch, standing in found[:limit]
    ]
    return operations_responses.Batches(rows, rows[-1].batch_id if len(found) > limit else None)


def told(
    batch: Batch, standing: Mapping[Status, int], after: int | None, cursor: Callable[[int], str]
) -> operations_responses.BatchDetail:
    """A batch, before a page of its jobs; `cursor` writes where the next one begins."""
    return operations_responses.BatchDetail(
        batch_id=batch.id,
        name=batch.name,
        total=batch.total,
        by_status={status.value: n for status, n in standing.items() if n},
        created_at=instant(batch.created_at),
        finished_at=instant(batch.finished_at),
        jobs=[],
        next_cursor=None if after is None else cursor(after),
    )


def _placed(index: int, fault: FieldError) -> FieldError:
    return FieldError(f"jobs.{index}.{fault.field}".rstrip("."), fault.message)
