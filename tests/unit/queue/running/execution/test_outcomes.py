import errno
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from secondunit.queue.errors import TypeUnavailable
from secondunit.queue.handler import JobContext
from secondunit.queue.model import Status
from secondunit.queue.outcome import Deterministic, JobError, Partial, Postponed, Transient
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.running.execution import UNAVAILABLE_PAUSE
from secondunit.testing.jobs import later
from secondunit.testing.rig import spec
from tests.unit.queue.running.execution.scene import One, raising, returning


async def test_what_a_handler_returns_is_the_jobs_result() -> None:
    async def run(ctx: JobContext, payload: Any) -> Any:
        return {"n": payload.n, "at": ctx.workspace.run.name}

    one = One(run)
    job = await one.ended(await one.begin(n=3))
    assert (job.status, job.result, job.progress, job.lease) == (Status.COMPLETED, {"n": 3, "at": "run-1"}, 1.0, None)
    assert one.folders.opened == [(job.id, 1)] and one.folders.closed == [(job.id, 1, True)]


async def test_a_partial_result_is_kept_with_what_is_missing() -> None:
    one = One(returning(Partial({"n": 1}, ("x", "y"))))
    job = await one.ended(await one.begin())
    assert (job.status, job.result, job.missing) == (Status.PARTIAL, {"n": 1}, ["x", "y"])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Deterministic("no such file", type="missing"), JobError("deterministic", "missing", "no such file")),
        (
            ExceptionGroup("both", [Transient("x"), Deterministic("bad\0", type="bad")]),
            JobError("deterministic", "bad", "bad"),
        ),
    ],
)
async def test_what_can_not_be_helped_fails_the_job(error: Exception, expected: JobError) -> None:
    one = One(raising(error))
    job = await one.ended(await one.begin())
    assert (job.status, job.error, job.attempt) == (Status.FAILED, expected, 1)
    assert one.errors == [error] and one.folders.closed == [(job.id, 1, True)]


@pytest.mark.parametrize(
    ("error", "kind", "type"),
    [
        (Transient("429", type="quota"), "transient", "quota"),
        (TimeoutError(), "timeout", "timeout"),
        (OSError(errno.ENOSPC, "full"), "transient", "disk_full"),
        (ValueError("a bug"), "transient", "unexpected"),
        (
            ExceptionGroup("both", [Transient("429", type="quota"), Postponed("q", delay=timedelta(1))]),
            "transient",
            "quota",
        ),
    ],
)
async def test_what_may_pass_is_tried_again(error: Exception, kind: str, type: str) -> None:
    one = One(raising(error))
    job = await one.ended(await one.begin())
    assert job.error is not None
    assert (job.status, job.attempt, job.run_at) == (Status.QUEUED, 2, later(1))
    assert (job.error.kind, job.error.type) == (kind, type)
    assert one.folders.closed == [(job.id, 1, False)]


async def test_a_job_fails_once_its_attempts_are_used_up() -> None:
    one = One(raising(Transient("429")), retry=RetryPolicy(0))
    assert (await one.ended(await one.begin())).status is Status.FAILED


async def test_a_postponed_job_waits_at_no_cost() -> None:
    one = One(raising(Postponed("the quota\0 is used up", delay=timedelta(hours=2))))
    job = await one.ended(await one.begin())
    assert (job.status, job.attempt, job.interruptions, job.run_at) == (Status.QUEUED, 1, 1, later(7200))
    assert job.message == "the quota is used up"


async def test_a_type_that_lost_what_it_needs_waits_instead_of_failing() -> None:
    def check(payload: Any) -> None:
        if broken:
            raise TypeUnavailable("hls", "install ffmpeg")

    broken = False
    one = One(returning(None), check=check)
    execution = await one.begin()
    broken = True
    job = await one.ended(execution)
    assert (job.status, job.attempt, job.run_at) == (Status.QUEUED, 1, one.clock.now() + UNAVAILABLE_PAUSE)
    assert "install ffmpeg" in (job.message or "")


async def test_a_payload_that_no_longer_fits_its_type_fails_the_job() -> None:
    class Newer(BaseModel):
        m: int

    one = One(returning(None))
    execution = await one.begin(n=1)
    execution._spec = spec("hls", returning(None), payload=Newer)
    job = await one.ended(execution)
    assert job.error is not None
    assert (job.status, job.error.kind, job.error.type) == (Status.FAILED, "deterministic", "bad_payload")


@pytest.mark.parametrize(
    "value", [{1, 2}, object(), float("inf"), Partial({1}, []), Partial({}, [{1}]), Partial({}, [b""])]
)
async def test_a_result_that_is_not_json_fails_the_job(value: Any) -> None:
    one = One(returning(value))
    job = await one.ended(await one.begin())
    assert job.error is not None
    assert (job.status, job.error.type) == (Status.FAILED, "not_json")


async def test_a_folder_that_can_not_be_made_fails_the_attempt_not_the_daemon() -> None:
    one = One(returning(None))
    one.folders.refusal = OSError(errno.ENOSPC, "no space left")
    job = await one.ended(await one.begin())
    assert job.error is not None
    assert (job.status, job.attempt, job.error.type) == (Status.QUEUED, 2, "disk_full")
    assert one.errors == [one.folders.refusal]


async def test_folders_that_fail_in_a_way_nobody_foresaw_fail_the_attempt_not_the_daemon() -> None:
    one = One(returning(None))
    one.folders.refusal = RuntimeError("no such luck")
    job = await one.ended(await one.begin())
    assert job.error is not None
    assert (job.status, job.attempt, job.error.message) == (Status.QUEUED, 2, "RuntimeError: no such luck")
    assert one.errors == [one.folders.refusal]
