"""Batch requests: many jobs as the queue is asked for them, made in turns with whoever else needs the loop."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, ValidationError

from secondunit.daemon.access.callers import Caller
from secondunit.daemon.http.contract.requests import LARGEST_BATCH, Ask, SubmitAsk, submission, taken
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.field_faults import MOST_FAULTS, faults_of, too_many
from secondunit.queue.handler import Registry
from secondunit.queue.model import Idempotency, Submission
from secondunit.queue.turns import in_turns


class _Frame(Ask):
    """A batch before its jobs are looked at."""

    jobs: list[Any] = Field(min_length=1, max_length=LARGEST_BATCH)


async def asked(content: Mapping[str, Any]) -> Sequence[SubmitAsk]:
    """What is asked for of each job, or BadPayload naming the fields at fault (`jobs.3.type`)."""
    asks: list[SubmitAsk] = []
    faults: list[FieldError] = []
    count = 0
    async for index, job in in_turns(enumerate(taken(_Frame, content).jobs)):
        try:
            asks.append(SubmitAsk.model_validate(job))
        except ValidationError as error:
            count += error.error_count()
            if count <= MOST_FAULTS:
                faults += [_placed(index, fault) for fault in faults_of(error, job)]
    if count > MOST_FAULTS:
        raise BadPayload(too_many(count))
    if faults:
        raise BadPayload(*faults)
    return asks


async def submissions(
    asks: Sequence[SubmitAsk], registry: Registry, rule: AddressRule, keys: Sequence[Idempotency | None], by: Caller
) -> Sequence[Submission]:
    """What the queue is asked for."""
    return [
        submission(ask, registry, rule, key, by, f"jobs.{index}.")
        async for index, (ask, key) in in_turns(enumerate(zip(asks, keys, strict=True)))
    ]


def _placed(index: int, fault: FieldError) -> FieldError:
    return FieldError(f"jobs.{index}.{fault.field}".rstrip("."), fault.message)
