"""A payload model or check that breaks: the payload is refused or its job failed, and nothing else."""

import sys
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from secondunit.queue.errors import BadPayload, TypeBroken
from secondunit.queue.model import Status, Submission
from secondunit.queue.outcome import HANDLER_BROKE
from tests.unit.queue.running.bench import Bench, returns


class Judge(BaseModel):
    n: int = 0

    @field_validator("n")
    @classmethod
    def judged(cls, n: int) -> int:
        if n:
            sys.exit(n)
        return n


def exits(payload: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "fields",
    [{"payload": Judge}, {"check": exits}, {"check": lambda payload: 1 / 0}],
    ids=["a validator that exits", "a check that exits", "a check that divides by zero"],
)
async def test_a_model_or_a_check_that_breaks_refuses_the_payload_and_nothing_else(fields: Any) -> None:
    bench = Bench(returns(lambda: 1), **fields)
    async with bench.working() as worker:
        with pytest.raises(TypeBroken):
            await bench.queue.submit(Submission("evil", {"n": 5}))
        await bench.goes_on(worker)


async def test_a_model_that_breaks_under_a_stored_job_fails_it_for_good() -> None:
    broken = False

    def check(payload: Any) -> None:
        if broken:
            raise SystemExit(2)

    bench = Bench(returns(lambda: 1), check=check)
    job_id = await bench.submit("evil")
    broken = True
    async with bench.working() as worker:
        job = await bench.job(job_id)
        assert job.error is not None
        assert (job.status, job.error.type) == (Status.FAILED, HANDLER_BROKE)
        assert "SystemExit: 2" in job.error.message
        await bench.goes_on(worker)


async def test_a_check_that_refuses_in_words_of_its_own_is_broken() -> None:
    def check(payload: Any) -> None:
        raise BadPayload("n", "is odd")  # type: ignore[arg-type]

    bench = Bench(returns(lambda: 1), check=check)
    with pytest.raises(TypeBroken):
        await bench.queue.submit(Submission("evil", {"n": 5}))
