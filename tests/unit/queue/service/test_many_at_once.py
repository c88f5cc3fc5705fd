"""Many jobs at once: moves in bulk, a paused type, counts and pages."""

from datetime import timedelta

import pytest

from secondunit.queue.errors import (
    JobNotFound,
    UnknownType,
)
from secondunit.queue.model import Filter, Job, JobId, Status
from secondunit.queue.state import QueueLimits
from secondunit.queue.store import PAGE
from secondunit.testing.jobs import ALL, NOW, end, held, listened, submit
from secondunit.testing.rig import Rig
from tests.unit.queue.service.scene import asked, hls


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
