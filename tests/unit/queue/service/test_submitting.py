"""Submitting: what is filled in, shared, repeated, refused."""

from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue import state
from secondunit.queue.errors import (
    BadPayload,
    Draining,
    KeyReused,
    Saturated,
    StoreFull,
    UnknownType,
)
from secondunit.queue.model import Idempotency, Job, JobId, Status, Submission
from secondunit.queue.outcome import Completed
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.state import QueueLimits
from secondunit.queue.store import Decide
from secondunit.testing.jobs import ALL, FLAKY, NOW, claim_one, settled
from secondunit.testing.rig import Rig
from tests.unit.queue.service.scene import asked, hls

KEY = Idempotency("key", b"1")


async def everything(rig: Rig) -> list[Job]:
    return list((await rig.queue.find(ALL, None, 10_000)).jobs)


async def test_what_a_caller_leaves_open_is_filled_in_from_the_type() -> None:
    policy = RetryPolicy(7)
    rig = Rig(hls(priority=3, retry=policy))
    job, created = await rig.queue.submit(asked())
    assert created and (job.priority, job.retry, job.status) == (3, policy, Status.QUEUED)
    assert await rig.queue.get(job.id) == job


async def test_what_a_caller_asks_for_is_stored() -> None:
    rig = Rig(hls(priority=3))
    run_at, once = NOW + timedelta(hours=1), RetryPolicy(0)
    job, _ = await rig.queue.submit(
        asked(5, priority=0, retry=once, run_at=run_at, timeout=timedelta(seconds=9), source="x", labels={"a": "b"})
    )
    assert (job.payload, job.priority, job.retry, job.run_at) == ({"n": 5}, 0, once, run_at)
    assert (job.timeout, job.source, job.labels) == (timedelta(seconds=9), "x", {"a": "b"})


@pytest.mark.parametrize(
    ("wrong", "refusal", "says"),
    [(Submission("hls", {"m": 1}), BadPayload, "payload.m"), (Submission("nope", {}), UnknownType, "nope")],
)
async def test_a_batch_with_one_bad_job_stores_none(wrong: Submission, refusal: type[Exception], says: str) -> None:
    rig = Rig(hls())
    with pytest.raises(refusal, match=says):
        await rig.queue.submit_all([asked(), asked(), wrong])
    assert await everything(rig) == []


async def test_a_batch_is_stored_in_its_order() -> None:
    rig = Rig(hls())
    answers = await rig.queue.submit_all([asked(n) for n in range(5)])
    assert [(job.payload["n"], created) for job, created in answers] == [(n, True) for n in range(5)]
    assert [job.seq for job, _ in answers] == [1, 2, 3, 4, 5]


async def test_a_repeated_request_gets_the_same_job() -> None:
    rig = Rig(hls())
    first, _ = await rig.queue.submit(asked(idempotency=KEY))
    again, created = await rig.queue.submit(asked(idempotency=KEY))
    assert (again.id, created, again.sharers, len(await everything(rig))) == (first.id, False, 1, 1)


async def test_a_key_that_comes_back_with_another_request_is_refused() -> None:
    rig = Rig(hls())
    await rig.queue.submit(asked(idempotency=KEY))
    for draining in (False, True):
        rig.queue.draining = draining
        with pytest.raises(KeyReused):
            await rig.queue.submit(asked(1, idempotency=Idempotency("key", b"2")))


async def test_live_work_is_shared_and_its_callers_are_counted() -> None:
    rig = Rig(hls())
    first, made = await rig.queue.submit(asked(dedupe_key="same"))
    second, made_again = await rig.queue.submit(asked(dedupe_key="same"))
    assert (made, made_again, second.id, second.sharers) == (True, False, first.id, 2)


async def test_one_callers_repeat_does_not_count_as_another_caller() -> None:
    rig = Rig(hls())
    await rig.queue.submit(asked(dedupe_key="same", idempotency=KEY))
    again, _ = await rig.queue.submit(asked(dedupe_key="same", idempotency=KEY))
    assert again.sharers == 1


async def test_work_that_ended_is_not_shared() -> None:
    rig = Rig(hls())
    first, _ = await rig.queue.submit(asked(dedupe_key="same"))
    await rig.queue.cancel(first.id)
    second, created = await rig.queue.submit(asked(dedupe_key="same"))
    assert created and second.id != first.id


@pytest.mark.parametrize(("cancelled", "joined"), [(True, False), (False, True)])
async def test_a_twin_that_ended_just_now_is_joined_unless_it_was_cancelled(cancelled: bool, joined: bool) -> None:
    rig = Rig(hls())
    twin, _ = await rig.queue.submit(asked(dedupe_key="same"))
    plain = rig.store.change

    async def late(job_id: JobId, decide: Decide, **fenced: Any) -> Job:
        rig.store.change = plain  # type: ignore[method-assign]
        if cancelled:
            await plain(job_id, lambda job: state.cancel(job, NOW))
        else:
            lease = await claim_one(rig.store, job_id)
            await plain(job_id, settled(FLAKY), lease=lease)
            lease = await claim_one(rig.store, job_id, at=NOW + timedelta(hours=1))
            await plain(job_id, lambda job: state.settle(job, Completed({}), rig.runtime.random, NOW), lease=lease)
        return await plain(job_id, decide, **fenced)

    rig.store.change = late  # type: ignore[method-assign]
    job, created = await rig.queue.submit(asked(dedupe_key="same"))
    assert (job.id == twin.id, created) == (joined, not joined)
    assert job.status is (Status.COMPLETED if joined else Status.QUEUED)
    assert job.sharers == 1


@pytest.mark.parametrize("refusal", [Draining, Saturated])
async def test_a_queue_that_takes_nothing_still_answers_known_keys(refusal: type[Exception]) -> None:
    rig = Rig(hls(), limits=QueueLimits(in_all=2))
    first, _ = await rig.queue.submit(asked(idempotency=KEY))
    await rig.queue.submit(asked())
    rig.queue.draining = refusal is Draining
    assert await rig.queue.submit(asked(idempotency=KEY)) == (first, False)
    for submission in (asked(), asked(idempotency=Idempotency("new", b"1"))):
        with pytest.raises(refusal):
            await rig.queue.submit(submission)
        with pytest.raises(refusal):
            await rig.queue.submit_all([asked(idempotency=KEY), submission])
    assert len(await everything(rig)) == 2


async def test_a_bad_request_is_told_so_even_while_draining() -> None:
    rig = Rig(hls())
    rig.queue.draining = True
    with pytest.raises(BadPayload, match=r"payload\.m"):
        await rig.queue.submit(Submission("hls", {"m": 1}))


async def test_a_batch_that_would_overfill_the_queue_is_refused_whole() -> None:
    rig = Rig(hls(), limits=QueueLimits(in_all=5))
    await rig.queue.submit_all([asked()] * 3)
    with pytest.raises(Saturated):
        await rig.queue.submit_all([asked()] * 3)
    await rig.queue.submit_all([asked()] * 2)
    assert len(await everything(rig)) == 5


async def test_a_full_queue_takes_work_again_once_there_is_room() -> None:
    rig = Rig(hls(), limits=QueueLimits(in_all=1))
    job, _ = await rig.queue.submit(asked(1))
    with pytest.raises(Saturated):
        await rig.queue.submit(asked(2))
    await rig.queue.cancel(job.id)
    taken, created = await rig.queue.submit(asked(3))
    assert created and taken.status is Status.QUEUED
    assert [job.payload["n"] for job in await everything(rig)] == [3, 1]
    with pytest.raises(Saturated):
        await rig.queue.submit(asked(4))


async def test_repeated_requests_take_no_room() -> None:
    rig = Rig(hls(), limits=QueueLimits(in_all=3))
    answers = [await rig.queue.submit(asked(idempotency=KEY)) for _ in range(10)]
    assert {job.id for job, _ in answers} == {answers[0][0].id}
    assert [created for _, created in answers] == [True] + [False] * 9
    two = await rig.queue.submit_all([asked(1), asked(2)])
    assert [created for _, created in two] == [True, True] and len(await everything(rig)) == 3
    with pytest.raises(Saturated):
        await rig.queue.submit(asked(3))


async def test_a_full_disk_refuses_a_submit_and_stores_nothing() -> None:
    rig = Rig(hls())

    async def add(changes: Any, limits: Any = None, schedule: Any = None, batch: Any = None, duty: Any = None) -> Any:
        raise StoreFull("full")

    plain, rig.store.add = rig.store.add, add  # type: ignore[method-assign]
    with pytest.raises(StoreFull):
        await rig.queue.submit(asked())
    assert await everything(rig) == []
    rig.store.add = plain  # type: ignore[method-assign]
    assert (await rig.queue.submit(asked()))[1], "it takes work as soon as there is room"
