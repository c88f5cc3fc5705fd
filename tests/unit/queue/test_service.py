"""The queue as its callers use it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue import state
from secondunit.queue.errors import (
    BadPayload,
    Draining,
    JobNotFound,
    KeyReused,
    NotAllowed,
    Saturated,
    StoreFull,
    UnknownType,
)
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.model import Filter, Idempotency, Job, JobId, Status, Submission
from secondunit.queue.outcome import Completed
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.state import QueueLimits
from secondunit.queue.store import PAGE, Decide
from secondunit.testing.jobs import ALL, FLAKY, NOW, claim_one, end, held, listened, settled, submit
from secondunit.testing.rig import Rig, spec

KEY = Idempotency("key", b"1")


async def forever(ctx: JobContext, payload: Any) -> None:
    await asyncio.Event().wait()


def hls(**fields: Any) -> HandlerSpec:
    return spec("hls", forever, **fields)


def asked(n: int = 0, **fields: Any) -> Submission:
    return Submission("hls", {"n": n}, **fields)


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


async def test_a_queued_job_is_cancelled_at_once() -> None:
    rig = Rig(hls())
    job_id = await rig.submit("hls")
    assert (await rig.queue.cancel(job_id)).status is Status.CANCELLED
    assert await rig.names(job_id) == ["queued", "cancelled"]


async def test_cancelling_a_running_job_returns_once_its_run_is_gone() -> None:
    stopping, gone = asyncio.Event(), asyncio.Event()

    async def slow_to_stop(ctx: JobContext, payload: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopping.set()
            await gone.wait()

    rig = Rig(spec("hls", slow_to_stop))
    async with rig.working():
        job_id = await rig.submit("hls")
        await rig.clock.settle()
        cancelling = asyncio.create_task(rig.queue.cancel(job_id))
        await stopping.wait()
        await rig.clock.settle()
        assert not cancelling.done() and (await rig.job(job_id)).status is Status.RUNNING
        gone.set()
        assert (await cancelling).status is Status.CANCELLED


async def test_a_job_that_finishes_first_can_no_longer_be_cancelled() -> None:
    async def finishes(ctx: JobContext, payload: Any) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done all the same"
        return "never"

    rig = Rig(spec("hls", finishes))
    async with rig.working():
        job_id = await rig.submit("hls")
        await rig.clock.settle()
        with pytest.raises(NotAllowed, match="completed"):
            await rig.queue.cancel(job_id)
        assert (await rig.job(job_id)).result == "done all the same"


async def test_ended_shared_and_unknown_jobs_are_not_cancelled() -> None:
    rig = Rig(hls())
    ended = await end(rig.store, "ended")
    shared, _ = await rig.queue.submit(asked(dedupe_key="same"))
    await rig.queue.submit(asked(dedupe_key="same"))
    for job_id in (ended.id, shared.id):
        with pytest.raises(NotAllowed):
            await rig.queue.cancel(job_id)
    with pytest.raises(JobNotFound):
        await rig.queue.cancel("nobody")
    assert (await rig.job(shared.id)).status is Status.QUEUED
    assert rig.hub._by_job == {}


async def test_an_ended_job_can_be_retried_and_runs_again() -> None:
    async def done(ctx: JobContext, payload: Any) -> int:
        return ctx.epoch

    rig = Rig(spec("hls", done))
    async with rig.working():
        job_id = await rig.submit("hls")
        await rig.queue.wait(job_id)
        assert (await rig.queue.retry(job_id)).status is Status.QUEUED
        assert (await rig.queue.wait(job_id)).result == 2


async def test_a_live_job_is_not_retried() -> None:
    rig = Rig(hls())
    job_id = await rig.submit("hls")
    with pytest.raises(NotAllowed):
        await rig.queue.retry(job_id)


async def test_waiting_ends_with_the_job_not_with_an_attempt() -> None:
    attempts: list[int] = []

    async def third_time(ctx: JobContext, payload: Any) -> str:
        attempts.append(ctx.attempt)
        if ctx.attempt < 3:
            raise ConnectionError
        return "ok"

    rig = Rig(spec("hls", third_time))
    async with rig.working():
        job_id = await rig.submit("hls")
        waiting = asyncio.create_task(rig.queue.wait(job_id))
        await rig.clock.advance(1)
        assert not waiting.done()
        await rig.clock.advance(10)
        assert (await waiting).result == "ok" and attempts == [1, 2, 3]
    assert (await rig.queue.wait(job_id)).result == "ok", "an ended job is not waited for"
    with pytest.raises(JobNotFound):
        await rig.queue.wait("nobody")


async def test_a_recovered_job_leaves_its_run_and_runs_again() -> None:
    ran: list[int] = []

    async def stuck_once(ctx: JobContext, payload: Any) -> str:
        ran.append(ctx.epoch)
        if len(ran) == 1:
            await asyncio.Event().wait()
        return "ok"

    rig = Rig(spec("hls", stuck_once))
    async with rig.working():
        job_id = await rig.submit("hls")
        await rig.clock.settle()
        before = await rig.job(job_id)
        after = await rig.queue.recover(job_id)
        assert after.status is Status.QUEUED and after.epoch > before.epoch
        job = await rig.queue.wait(job_id)
        assert (job.status, job.attempt, job.result) == (Status.COMPLETED, 1, "ok")
        assert len(ran) == 2
        with pytest.raises(NotAllowed):
            await rig.queue.recover(job_id)


class Recovered:
    """A job whose first run hangs, and what became of its runs."""

    def __init__(self) -> None:
        self.ran: list[int] = []
        self.stopped: list[int] = []
        self.go_on = asyncio.Event()
        self.rig = Rig(spec("hls", self._run, concurrency=2))

    async def _run(self, ctx: JobContext, payload: Any) -> str:
        self.ran.append(ctx.epoch)
        try:
            await (asyncio.Event() if ctx.epoch == 1 else self.go_on).wait()
        except asyncio.CancelledError:
            self.stopped.append(ctx.epoch)
            raise
        return "ok"


async def test_recovering_stops_the_old_run_and_not_the_one_that_follows_it_however_fast() -> None:
    recovered = Recovered()
    rig = recovered.rig
    async with rig.working():
        job_id = await rig.submit("hls")
        await rig.clock.settle()
        rig.store.answer.clear()
        recovering = asyncio.create_task(rig.queue.recover(job_id))
        await rig.clock.settle()
        assert (await rig.job(job_id)).status is Status.RUNNING, "the next run began before the answer came"
        rig.store.answer.set()
        await recovering
        await rig.clock.advance(60)
        recovered.go_on.set()
        job = await rig.queue.wait(job_id)
        assert (job.status, job.attempt, job.result) == (Status.COMPLETED, 1, "ok")
        assert [run.outcome for run in job.runs] == ["recovered", "completed"]
        assert (recovered.ran, recovered.stopped) == ([1, job.epoch], [1])


async def test_a_job_is_recovered_from_a_run_whose_claim_is_still_on_its_way() -> None:
    recovered = Recovered()
    rig = recovered.rig
    recovered.go_on.set()
    rig.store.arrive.clear()
    job_id = await rig.submit("hls")
    async with rig.working():
        await rig.store.on_the_way.wait()
        await rig.queue.recover(job_id)
        rig.store.arrive.set()
        job = await rig.queue.wait(job_id)
        assert (job.result, recovered.ran) == ("ok", [job.epoch]), "the run that was taken away never began"


async def test_a_run_is_recovered_by_its_epoch_and_no_later_one() -> None:
    recovered = Recovered()
    rig = recovered.rig
    async with rig.working():
        job_id = await rig.submit("hls")
        await rig.clock.settle()
        await rig.queue.recover(job_id, 1)
        await rig.clock.settle()
        with pytest.raises(NotAllowed, match="epoch 1 is over"):
            await rig.queue.recover(job_id, 1)
        recovered.go_on.set()
        assert (await rig.queue.wait(job_id)).result == "ok"


async def bulk_rig(count: int) -> tuple[Rig, list[JobId]]:
    rig = Rig(hls(), limits=QueueLimits(in_all=10_000))
    answers = await rig.queue.submit_all([asked(n) for n in range(count)])
    return rig, [job.id for job, _ in answers]


@pytest.mark.parametrize("statuses", [(), (Status.QUEUED,)])
async def test_cancelling_all_reaches_each_job_once_though_they_leave_the_filter(statuses: tuple[Status, ...]) -> None:
    rig, ids = await bulk_rig(2 * PAGE + 7)
    heard = listened(rig.store)
    bulk = await rig.queue.cancel_all(Filter(statuses=statuses))
    assert sorted(bulk.done) == sorted(ids) and bulk.refused == []
    assert sorted(event.job_id for event in heard) == sorted(ids)


async def test_a_move_over_many_says_which_it_could_not_move_and_why() -> None:
    rig, ids = await bulk_rig(2)
    ended = await end(rig.store, "ended", type="webp")
    shared, _ = await rig.queue.submit(asked(dedupe_key="same"))
    await rig.queue.submit(asked(dedupe_key="same"))
    bulk = await rig.queue.cancel_all(ALL)
    assert sorted(bulk.done) == sorted(ids)
    assert dict(bulk.refused) == {ended.id: "it is completed", shared.id: "2 callers share it"}


async def test_retrying_all_ends_though_the_jobs_end_again_meanwhile() -> None:
    rig, ids = await bulk_rig(PAGE + 3)
    await rig.queue.cancel_all(ALL)
    plain = rig.queue.retry

    async def retried_and_cancelled(job_id: JobId) -> Job:
        await plain(job_id)
        await submit(rig.store, f"new-{job_id}")
        return await rig.queue.cancel(job_id)

    rig.queue.retry = retried_and_cancelled  # type: ignore[method-assign]
    bulk = await rig.queue.retry_all(Filter(types=["hls"]))
    assert sorted(bulk.done) == sorted(ids) and bulk.refused == []


async def test_a_job_that_is_gone_when_its_turn_comes_is_counted_as_refused() -> None:
    rig, ids = await bulk_rig(2)

    async def gone(job_id: JobId) -> Job:
        raise JobNotFound(job_id)

    rig.queue.cancel = gone  # type: ignore[method-assign]
    bulk = await rig.queue.cancel_all(ALL)
    assert (bulk.done, [job_id for job_id, _ in bulk.refused]) == ([], ids[::-1])


async def test_a_paused_type_is_not_started_and_resuming_starts_it_at_once() -> None:
    rig = Rig(hls())
    async with rig.working():
        await rig.queue.pause("hls")
        job_id = await rig.submit("hls")
        await rig.clock.advance(60)
        assert (await rig.job(job_id)).status is Status.QUEUED
        await rig.queue.resume("hls")
        await rig.clock.settle()
        assert (await rig.job(job_id)).status is Status.RUNNING
    with pytest.raises(UnknownType):
        await rig.queue.pause("nope")


async def test_counts_and_pages_come_from_the_store() -> None:
    rig, ids = await bulk_rig(3)
    held(next(iter(await rig.store.claim({"hls": 1}, 1, "boot", timedelta(seconds=1), NOW))))
    counts = await rig.queue.counts()
    assert (counts.queued, counts.running) == ({"hls": 2}, {"hls": 1})
    page = await rig.queue.find(ALL, None, 2)
    assert [job.id for job in page.jobs] == ids[:0:-1]
    assert [job.id for job in (await rig.queue.find(ALL, page.next_cursor, 2)).jobs] == ids[:1]
