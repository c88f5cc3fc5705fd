"""What comes between a look at a remote lease and what is done about it: the end of its time, of its key, a renewal."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from secondunit.queue.errors import LeaseLost
from secondunit.queue.model import Job, JobId, Status
from secondunit.queue.outcome import Completed
from secondunit.queue.remote.moves import News
from secondunit.testing.jobs import TTL
from tests.unit.queue.remote.scene import Remote

LEASE = TTL.total_seconds()


async def leased() -> tuple[Remote, JobId]:
    """A rig of which no loop runs, and a job that is leased."""
    rig = Remote()
    job_id = await rig.submit("ocr")
    assert await taken(rig) == [job_id]
    return rig, job_id


async def taken(rig: Remote, wait: float = 0) -> list[JobId]:
    """What a worker is given by one round."""
    loop = asyncio.create_task(rig.leasing.run())
    try:
        return await rig.take(wait=wait)
    finally:
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop


@pytest.mark.parametrize("write", ["renew", "step", "settle"])
async def test_a_lease_that_runs_out_while_a_write_waits_has_lost_it(write: str) -> None:
    rig, job_id = await leased()
    change, finish = rig.store.change, rig.store.steps.finish

    async def late_change(*given: Any, **named: Any) -> Job:
        await rig.clock.leap(LEASE + 1)
        return await change(*given, **named)

    async def late_finish(*given: Any, **named: Any) -> Job:
        await rig.clock.leap(LEASE + 1)
        return await finish(*given, **named)

    rig.store.change = late_change  # type: ignore[method-assign]
    rig.store.steps.finish = late_finish  # type: ignore[method-assign]
    calls: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
        "renew": lambda: rig.holding.renew(job_id, 1, News(0.5)),
        "step": lambda: rig.holding.step(job_id, 1, "a", 1),
        "settle": lambda: rig.holding.settle(job_id, 1, "done", lambda _: Completed(1)),
    }
    with pytest.raises(LeaseLost):
        await calls[write]()
    job = await rig.job(job_id)
    assert (job.status, job.progress) == (Status.RUNNING, 0)
    assert not [step for step in await rig.store.steps.of_job(job_id) if step.done]


async def test_a_key_that_is_revoked_as_a_job_is_claimed_gets_none() -> None:
    rig = Remote()
    job_id = await rig.submit("ocr")
    claim = rig.store.claim

    async def revoked_meanwhile(*given: Any, **named: Any) -> Any:
        jobs = await claim(*given, **named)
        rig.leasing.shut_out("key")
        return jobs

    rig.store.claim = revoked_meanwhile  # type: ignore[method-assign]
    assert await taken(rig, wait=60) == []
    job = await rig.job(job_id)
    assert (job.status, job.attempt, job.interruptions) == (Status.QUEUED, 1, 1)


async def test_a_drain_that_comes_as_a_job_does_hands_it_to_nobody() -> None:
    rig = Remote()
    waiting = asyncio.create_task(taken(rig, wait=60))
    await rig.clock.settle()
    claims = rig.store.claims
    job_id = await rig.submit("ocr")
    rig.leasing.drain()
    assert await waiting == []
    assert rig.store.claims == claims
    assert ((await rig.job(job_id)).status, (await rig.job(job_id)).epoch) == (Status.QUEUED, 0)


async def test_a_lease_that_is_renewed_as_it_is_about_to_be_freed_is_kept() -> None:
    rig, job_id = await leased()
    keeping = asyncio.create_task(rig.keeper().run())
    await rig.clock.settle()
    change = rig.store.change

    async def renewed_first(*given: Any, **named: Any) -> Job:
        rig.store.change = change  # type: ignore[method-assign]
        lease = (await rig.job(job_id)).lease
        assert lease is not None
        await rig.store.extend([lease], rig.clock.now() + TTL, lease.until)
        return await change(*given, **named)

    rig.store.change = renewed_first  # type: ignore[method-assign]
    await rig.clock.advance(LEASE + 1)
    assert rig.store.change == change, "it was about to be freed"
    assert (await rig.job(job_id)).status is Status.RUNNING
    await rig.clock.advance(LEASE)
    assert (await rig.job(job_id)).status is Status.QUEUED
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
