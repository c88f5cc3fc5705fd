"""Leases that are lost: by silence, a cancel, a limit, a drain, a hand; and what is charged to the job."""

import asyncio
from datetime import timedelta

from secondunit.daemon.formats import instant
from secondunit.queue.model import Status
from tests.http.harness import TTL, ApiHarness, Build
from tests.http.leases.scene import every_write_is_refused, leased, lost, one, submit, take


async def test_a_lease_that_ran_out_is_lost_whoever_has_the_job(harness: ApiHarness) -> None:
    job_id, path = await one(harness)
    before = await harness.store.get(job_id)
    await harness.clock.advance(TTL.total_seconds())
    await every_write_is_refused(harness, path)
    [lease] = await take(harness, worker="w2")
    assert (lease["jobId"], lease["attempt"], lease["epoch"]) == (job_id, 1, before.epoch + 1)
    await every_write_is_refused(harness, path)
    assert (await harness.store.get(job_id)).lease is not None


async def test_a_lost_job_goes_to_who_waits_within_a_second_of_its_lease(harness: ApiHarness) -> None:
    job_id, _ = await one(harness)
    waiting = asyncio.create_task(take(harness, worker="w2", waitSeconds=60))
    await harness.until(lambda: len(harness.leasing.room))
    await harness.clock.advance(TTL.total_seconds() + 1)
    assert [lease["jobId"] for lease in await waiting] == [job_id]


async def test_a_worker_learns_that_its_job_is_to_be_cancelled(harness: ApiHarness) -> None:
    job_id, path = await one(harness)
    cancelling = asyncio.create_task(harness.call("DELETE", f"/api/jobs/{job_id}"))
    while not (await harness.store.get(job_id)).cancel_requested:
        await asyncio.sleep(0.002)
    assert (await harness.call("PUT", path, {"progress": 1}))["cancelRequested"] is True

    answer = await harness.call("POST", f"{path}/release", {"reason": "cancelled"})
    assert answer == {"jobId": job_id, "status": "cancelled"}
    assert (await cancelling)["status"] == "cancelled"


async def test_a_silent_worker_does_not_keep_a_job_from_being_cancelled(harness: ApiHarness) -> None:
    job_id, path = await one(harness)
    cancelling = asyncio.create_task(harness.call("DELETE", f"/api/jobs/{job_id}"))
    while not (await harness.store.get(job_id)).cancel_requested:
        await asyncio.sleep(0.002)
    await harness.clock.advance(TTL.total_seconds() + 1)
    assert (await cancelling)["status"] == "cancelled"
    await lost(harness, "POST", f"{path}/complete", {"result": 1})


async def test_work_that_was_done_before_the_cancel_was_heard_counts(harness: ApiHarness) -> None:
    job_id, path = await one(harness)
    cancelling = asyncio.create_task(harness.raw("DELETE", f"/api/jobs/{job_id}"))
    while not (await harness.store.get(job_id)).cancel_requested:
        await asyncio.sleep(0.002)
    assert (await harness.call("POST", f"{path}/complete", {"result": 1}))["status"] == "completed"
    assert (await cancelling).status == 409


async def test_only_what_was_to_be_cancelled_fails_as_cancelled(harness: ApiHarness) -> None:
    job_id, path = await one(harness)
    body = {"error": {"class": "cancelled", "type": "cancelled", "message": "stopped"}}
    faults = await harness.refused("POST", f"{path}/fail", body)
    assert "release" in faults["error.class"]
    assert (await harness.store.get(job_id)).status is Status.RUNNING


async def test_an_attempt_has_its_time_however_often_it_is_renewed(build: Build) -> None:
    harness = await build(specs=(leased("ocr", timeout=timedelta(seconds=50)),))
    loops = [asyncio.create_task(loop) for loop in harness.remote.loops()]
    job_id, path = await one(harness)
    await harness.clock.advance(25)
    await harness.call("PUT", path, {})
    await harness.clock.advance(20)
    answer = await harness.call("PUT", path, {})
    assert answer["expiresAt"] == instant(harness.clock.now() + timedelta(seconds=5))
    await harness.clock.advance(6)
    job = await harness.store.get(job_id)
    assert (job.status, job.attempt, job.error and job.error.kind) == (Status.QUEUED, 2, "timeout")
    await every_write_is_refused(harness, path)
    for loop in loops:
        loop.cancel()


async def test_what_a_worker_dies_of_alone_three_times_is_poison(harness: ApiHarness) -> None:
    job_id = await submit(harness)
    for _ in range(3):
        assert len(await take(harness)) == 1
        await harness.clock.advance(TTL.total_seconds() + 1)
    job = await harness.call("GET", f"/api/jobs/{job_id}")
    assert (job["status"], job["error"]["type"], job["attempt"]) == ("failed", "poison", 1)


async def test_jobs_that_are_lost_together_are_not_held_to_account(harness: ApiHarness) -> None:
    jobs = [await submit(harness), await submit(harness)]
    for _ in range(4):
        assert len(await take(harness, max=2)) == 2
        await harness.clock.advance(TTL.total_seconds() + 1)
    assert [(await harness.store.get(id)).reclaims for id in jobs] == [0, 0]
    for _ in range(6):
        assert len(await take(harness, max=2)) == 2
        await harness.clock.advance(TTL.total_seconds() + 1)
    assert [(await harness.store.get(id)).status for id in jobs] == [Status.FAILED] * 2  # yet it ends


async def test_a_step_that_was_finished_forgives_earlier_losses(harness: ApiHarness) -> None:
    job_id = await submit(harness)
    for _ in range(2):
        await take(harness)
        await harness.clock.advance(TTL.total_seconds() + 1)
    [lease] = await take(harness)
    await harness.call("PUT", f"/api/leases/{lease['token']}/steps/one", {"result": 1})
    await harness.clock.advance(TTL.total_seconds() + 1)
    job = await harness.store.get(job_id)
    assert (job.status, job.reclaims) == (Status.QUEUED, 1)


async def test_a_daemon_that_was_away_forgives_who_could_not_renew(harness: ApiHarness) -> None:
    job_id, path = await one(harness)
    await harness.clock.leap(3 * TTL.total_seconds())  # as after a stop; the keeper finds itself late
    await harness.clock.advance(1)
    assert (await harness.call("PUT", path, {}))["cancelRequested"] is False
    assert (await harness.store.get(job_id)).reclaims == 0


async def test_a_drain_gives_out_nothing_and_keeps_what_is_out(harness: ApiHarness) -> None:
    _, path = await one(harness)
    waiting = asyncio.create_task(take(harness, waitSeconds=60))
    await harness.until(lambda: len(harness.leasing.room))
    queued = await submit(harness, "asr")

    harness.leasing.drain()

    assert await waiting == []
    problem = await harness.call("POST", "/api/leases", {"types": ["asr"], "worker": "w"}, status=503)
    assert "shutting down" in problem["detail"]
    await harness.call("PUT", path, {"progress": 50})
    assert (await harness.call("POST", f"{path}/complete", {"result": 1}))["status"] == "completed"
    assert (await harness.store.get(queued)).status is Status.QUEUED


async def test_a_retry_by_hand_ends_an_old_token(harness: ApiHarness) -> None:
    job_id, path = await one(harness)
    error = {"class": "deterministic", "type": "x", "message": "y"}
    await harness.call("POST", f"{path}/fail", {"error": error})
    await harness.call("POST", f"/api/jobs/{job_id}/retry")
    await lost(harness, "PUT", path, {})
    await lost(harness, "POST", f"{path}/complete", {"result": 1})
    [lease] = await take(harness)
    assert (lease["jobId"], lease["attempt"]) == (job_id, 1)
    await lost(harness, "POST", f"{path}/complete", {"result": 1})


async def test_a_recovered_job_is_taken_from_its_worker(harness: ApiHarness) -> None:
    job_id, path = await one(harness)
    await harness.call("POST", "/api/admin/recover", {"ids": [job_id]})
    await every_write_is_refused(harness, path)
    assert (await harness.store.get(job_id)).status is Status.QUEUED
