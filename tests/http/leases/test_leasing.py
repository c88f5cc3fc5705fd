"""Jobs that are leased: to whom, when, how many, in which order."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from secondunit.daemon.formats import instant
from tests.http.harness import TTL, ApiHarness
from tests.http.leases.scene import one, submit, take


async def test_a_job_is_leased_and_completed(harness: ApiHarness) -> None:
    job_id = await submit(harness)

    [lease] = await take(harness)
    assert lease["token"] and lease["payload"] == {"page": 1} and lease["steps"] == {}
    assert (lease["jobId"], lease["type"], lease["attempt"], lease["epoch"]) == (job_id, "ocr", 1, 1)
    assert lease["expiresAt"] == instant(harness.clock.now() + TTL)
    assert (await harness.call("GET", f"/api/jobs/{job_id}"))["status"] == "running"

    answer = await harness.call("POST", f"/api/leases/{lease['token']}/complete", {"result": {"text": "hi"}})
    assert answer == {"jobId": job_id, "status": "completed"}
    job = await harness.call("GET", f"/api/jobs/{job_id}")
    assert (job["status"], job["result"], job["progress"]) == ("completed", {"text": "hi"}, 100)


async def test_nothing_is_leased_where_nothing_waits(harness: ApiHarness) -> None:
    assert await take(harness) == []


async def test_a_waiting_worker_gets_the_next_job_at_once(harness: ApiHarness) -> None:
    waiting = asyncio.create_task(take(harness, waitSeconds=20))
    await harness.until(lambda: len(harness.leasing.room))

    job_id = await submit(harness)

    [lease] = await waiting
    assert lease["jobId"] == job_id


async def test_a_wait_ends_with_nothing(harness: ApiHarness) -> None:
    waiting = asyncio.create_task(take(harness, waitSeconds=20))
    await harness.until(lambda: len(harness.leasing.room))
    await harness.clock.advance(19)
    assert not waiting.done()
    await harness.clock.advance(1)
    assert await waiting == []
    assert not len(harness.leasing.room)


async def test_workers_are_served_in_the_order_they_came(harness: ApiHarness) -> None:
    calls = []
    for n in range(3):
        calls.append(asyncio.create_task(take(harness, worker=f"w{n}", waitSeconds=20)))
        await harness.until(lambda n=n: len(harness.leasing.room) == n + 1)  # type: ignore[misc]
    first, second = await submit(harness), await submit(harness)

    got = [[lease["jobId"] for lease in await call] for call in calls[:2]]
    assert got == [[first], [second]]
    assert not calls[2].done()
    await harness.clock.advance(20)
    assert await calls[2] == []


async def test_priorities_hold(harness: ApiHarness) -> None:
    await submit(harness, priority=4)
    urgent = await submit(harness, priority=0)
    [lease] = await take(harness)
    assert lease["jobId"] == urgent


async def test_several_jobs_are_leased_at_once_up_to_the_types_limit(harness: ApiHarness) -> None:
    for _ in range(5):
        await submit(harness)
    assert len(await take(harness, max=10)) == 3
    assert await take(harness, max=10) == []


async def test_a_slot_that_comes_free_goes_to_who_waits(harness: ApiHarness) -> None:
    await submit(harness, "asr")
    second = await submit(harness, "asr")
    [lease] = await take(harness, "asr")
    waiting = asyncio.create_task(take(harness, "asr", worker="w2", waitSeconds=60))
    await harness.until(lambda: len(harness.leasing.room))

    await harness.call("POST", f"/api/leases/{lease['token']}/complete", {"result": 1})

    assert [lease["jobId"] for lease in await waiting] == [second]


async def test_a_limit_that_is_raised_counts_at_once(harness: ApiHarness) -> None:
    for _ in range(2):
        await submit(harness, "asr")
    await take(harness, "asr")
    waiting = asyncio.create_task(take(harness, "asr", waitSeconds=60))
    await harness.until(lambda: len(harness.leasing.room))
    await harness.call("PATCH", "/api/types/asr", {"concurrency": 2})
    assert len(await waiting) == 1


async def test_a_paused_type_is_not_leased_until_it_is_resumed(harness: ApiHarness) -> None:
    await harness.call("POST", "/api/types/ocr/pause")
    job_id = await submit(harness)
    assert await take(harness) == []
    waiting = asyncio.create_task(take(harness, waitSeconds=60))
    await harness.until(lambda: len(harness.leasing.room))
    await harness.call("POST", "/api/types/ocr/resume")
    assert [lease["jobId"] for lease in await waiting] == [job_id]


async def test_a_job_for_later_is_leased_when_its_time_has_come(harness: ApiHarness) -> None:
    await submit(harness, runAt=instant(harness.clock.now() + timedelta(seconds=10)))
    waiting = asyncio.create_task(take(harness, waitSeconds=60))
    await harness.until(lambda: len(harness.leasing.room))
    await harness.clock.advance(9)
    assert not waiting.done()
    await harness.clock.advance(2)
    assert len(await waiting) == 1


async def test_a_worker_that_left_takes_no_job_with_it(harness: ApiHarness) -> None:
    waiting = asyncio.create_task(take(harness, waitSeconds=60))
    await harness.until(lambda: len(harness.leasing.room))
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    await harness.until(lambda: not len(harness.leasing.room))

    job_id = await submit(harness)
    assert (await harness.call("GET", f"/api/jobs/{job_id}"))["status"] == "queued"
    [lease] = await take(harness, worker="w2")
    assert (lease["jobId"], lease["attempt"]) == (job_id, 1)


async def test_a_restart_disturbs_no_worker(harness: ApiHarness) -> None:
    await one(harness)
    idle = await harness.submit("idle")
    assert (await harness.call("GET", "/api/admin/check"))["safe"] is True
    await harness.start(idle)
    found = await harness.call("GET", "/api/admin/check")
    assert (found["safe"], [job["jobId"] for job in found["running"]]) == (False, [idle])
