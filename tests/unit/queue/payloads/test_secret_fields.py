"""Secrets of payloads: there for the runs that need them, and in no row of a job that is over."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from pydantic import BaseModel

from secondunit.queue import state
from secondunit.queue.errors import NotAllowed, SecretsStruck
from secondunit.queue.model import Filter, Job, Status, Submission
from secondunit.queue.outcome import Deterministic, Partial
from secondunit.queue.payloads import secret_fields
from secondunit.queue.retention import SECRETS_KEPT, STRIKE_EVERY, strike
from secondunit.queue.running.leases import reclaim
from secondunit.testing.jobs import BOOT, claim
from secondunit.testing.rig import Rig, spec

SECRET = {"url": "u", "headers": {"Authorization": "Bearer s3cr3t"}, "cookies": "sid=s3cr3t"}
STRUCK = {"url": "u", "headers": {"Authorization": "***"}, "cookies": "***"}


class Payload(BaseModel):
    url: str
    headers: dict[str, str] = {}
    cookies: str | None = None
    ends: str = "well"


async def run(ctx: Any, payload: Payload) -> Any:
    assert payload.headers == SECRET["headers"], "a run has what it needs"
    match payload.ends:
        case "badly":
            raise Deterministic("no such thing")
        case "halfway":
            return Partial({}, ["the rest"])
        case "never":
            await asyncio.Event().wait()
    return {}


class Fetching(Rig):
    def __init__(self) -> None:
        super().__init__(spec("fetch", run, payload=Payload, secrets=("headers", "cookies")))

    async def asked(self, ends: str = "well", **fields: Any) -> str:
        job, _ = await self.queue.submit(Submission("fetch", {**SECRET, "ends": ends}, **fields))
        return job.id

    async def ended(self, ends: str) -> Job:
        job_id = await self.asked(ends)
        async with self.working():
            await self.clock.settle()
        return await self.job(job_id)


async def test_a_completed_job_has_no_secret_any_more_and_still_its_names() -> None:
    job = await Fetching().ended("well")
    assert job.status is Status.COMPLETED and job.payload == {**STRUCK, "ends": "well"}


@pytest.mark.parametrize(("ends", "status"), [("badly", Status.FAILED), ("halfway", Status.PARTIAL)])
async def test_one_that_may_be_retried_keeps_them_for_a_day(ends: str, status: Status) -> None:
    rig = Fetching()
    job = await rig.ended(ends)
    assert (job.status, job.payload["cookies"]) == (status, SECRET["cookies"])
    rounds = asyncio.create_task(strike(rig.store, rig.clock, rig.registry))
    await rig.clock.settle()
    await rig.clock.advance(SECRETS_KEPT.total_seconds() - STRIKE_EVERY)
    assert (await rig.job(job.id)).payload["cookies"] == SECRET["cookies"]
    seen = await rig.names(job.id)
    await rig.clock.advance(2 * STRIKE_EVERY)
    assert "s3cr3t" not in str((await rig.job(job.id)).payload)
    assert await rig.names(job.id) == seen, "nobody is told"
    rounds.cancel()
    with suppress(asyncio.CancelledError):
        await rounds


async def test_within_that_day_it_is_retried_with_them() -> None:
    rig = Fetching()
    job = await rig.ended("badly")
    await rig.queue.retry(job.id)
    async with rig.working():
        await rig.clock.settle()
    assert (await rig.job(job.id)).error == job.error


async def test_a_retry_that_would_miss_them_says_which_must_be_sent_again() -> None:
    rig = Fetching()
    job = await rig.ended("well")
    with pytest.raises(SecretsStruck) as refused:
        await rig.queue.retry(job.id)
    assert [fault.field for fault in refused.value.errors] == ["payload.headers", "payload.cookies"]
    bulk = await rig.queue.retry_all(Filter([Status.COMPLETED]))
    assert [job_id for job_id, _ in bulk.refused] == [job.id]
    assert (await rig.job(job.id)).status is Status.COMPLETED


async def test_a_job_without_secrets_is_retried_at_any_time() -> None:
    rig = Fetching()
    job, _ = await rig.queue.submit(Submission("fetch", {"url": "u", "headers": {}, "cookies": None}))
    await rig.queue.cancel(job.id)
    assert (await rig.queue.retry(job.id)).status is Status.QUEUED


async def test_a_cancelled_job_has_none_whether_it_waited_ran_or_was_lost() -> None:
    rig = Fetching()
    waiting = await rig.asked()
    assert (await rig.queue.cancel(waiting)).payload["cookies"] == "***"
    running = await rig.asked("never")
    async with rig.working():
        await rig.queue.cancel(running)
    lost = await rig.asked("never")
    await claim(rig.store, 1, type="fetch", boot="earlier")
    await rig.change(lost, state.cancel, rig.clock.now())
    await reclaim(rig.store, rig.clock, BOOT, secrets_of=rig.registry.secrets_of)
    recovered = await rig.asked("never")
    await claim(rig.store, 1, type="fetch", boot=BOOT)
    await rig.change(recovered, state.cancel, rig.clock.now())
    await rig.queue.recover(recovered)
    for job_id in (waiting, running, lost, recovered):
        job = await rig.job(job_id)
        assert job.status is Status.CANCELLED and "s3cr3t" not in str(job.payload)


async def test_a_live_job_is_never_struck() -> None:
    rig = Fetching()
    job_id = await rig.asked()
    with pytest.raises(NotAllowed):
        await rig.change(job_id, secret_fields.strike, ("headers",))
    assert (await rig.job(job_id)).payload["cookies"] == SECRET["cookies"]
