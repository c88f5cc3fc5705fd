"""Deliveries, pausing types, and jobs that do not move."""

from typing import Any

from secondunit.queue.model import Change, Job, Target
from secondunit.queue.outcome import Released
from secondunit.queue.value import replace

NOWHERE = "job_" + "a" * 26

IDLE: dict[str, Any] = {"type": "idle", "payload": {}}


async def test_deliveries_are_shown_and_can_be_sent_again(harness: Any) -> None:
    job_id = await harness.submit(callback="https://example.com/done")
    assert await harness.call("GET", f"/api/jobs/{job_id}/deliveries") == {"deliveries": []}
    await harness.settle(job_id)
    [delivery] = (await harness.call("GET", f"/api/jobs/{job_id}/deliveries"))["deliveries"]
    assert (delivery["kind"], delivery["url"], delivery["status"]) == (
        "callback",
        "https://example.com/done",
        "pending",
    )
    await harness.clock.advance(60)
    again = await harness.call("POST", f"/api/deliveries/{delivery['id']}/retry")
    assert again == delivery | {"nextAt": "2030-01-01T00:01:00.000Z"}
    await harness.call("POST", "/api/deliveries/nowhere/retry", status=404)


async def test_a_delivery_never_shows_the_key_of_another_kind_of_target(harness: Any) -> None:
    job_id = await harness.submit()
    await harness.store.change(job_id, lambda job: Change(_with_target(job)))
    await harness.settle(job_id)
    [delivery] = (await harness.call("GET", f"/api/jobs/{job_id}/deliveries"))["deliveries"]
    assert (delivery["kind"], delivery["url"]) == ("backend", "analysis-7")


def _with_target(job: Job) -> Job:
    return replace(job, target=Target("backend", "analysis-7"))


async def test_whoever_asks_for_a_job_of_a_paused_type_is_told(harness: Any) -> None:
    before = await harness.submit()
    await harness.call("POST", "/api/types/idle/pause")
    told = await harness.call("POST", "/api/jobs", IDLE, status=201)
    assert told["paused"] is True
    batch = await harness.call("POST", "/api/jobs/batch", {"jobs": [IDLE]}, status=201)
    assert batch["jobs"][0]["paused"] is True
    assert (await harness.call("GET", f"/api/jobs/{before}"))["paused"] is True
    assert [job["paused"] for job in (await harness.call("GET", "/api/jobs"))["jobs"]] == [True] * 3
    await harness.call("DELETE", f"/api/jobs/{before}")
    assert (await harness.call("GET", f"/api/jobs/{before}"))["paused"] is False, "it waits for nothing"
    await harness.call("POST", "/api/types/idle/resume")
    assert "paused" not in await harness.call("POST", "/api/jobs", IDLE, status=201)
    assert [job["paused"] for job in (await harness.call("GET", "/api/jobs"))["jobs"]] == [False] * 4


async def test_a_paused_type_says_so_and_an_unknown_one_is_refused(harness: Any) -> None:
    assert await harness.call("POST", "/api/types/idle/pause") == {"type": "idle", "paused": True}
    assert await harness.store.paused() == {"idle"}
    assert await harness.call("POST", "/api/types/idle/resume") == {"type": "idle", "paused": False}
    assert await harness.store.paused() == frozenset()
    assert "known are clip, idle, paid" in (await harness.refused("POST", "/api/types/cooking/pause"))["type"]
    assert await harness.store.paused() == frozenset()


async def test_stuck_jobs_are_those_without_movement_or_with_a_lease_that_ran_out(harness: Any) -> None:
    quiet, busy = await harness.submit(), await harness.submit()
    await harness.start(quiet)
    await harness.clock.advance(3600)
    await harness.start(busy)
    answer = await harness.call("GET", "/api/admin/stuck")
    [found] = answer["jobs"]
    assert (found["jobId"], found["source"], found["stuckSeconds"]) == (quiet, "api", 3600)
    assert len((await harness.call("GET", "/api/admin/stuck?timeout=0"))["jobs"]) == 2
    assert "whole number" in (await harness.refused("GET", "/api/admin/stuck?timeout=soon"))["timeout"]


async def test_recovering_stops_the_old_run_and_queues_the_job(harness: Any) -> None:
    job_id, waiting = await harness.submit(), await harness.submit()
    epoch = (await harness.start(job_id)).epoch
    answer = await harness.call("POST", "/api/admin/recover", {"ids": [job_id, waiting, NOWHERE]})
    assert answer["done"] == 1
    assert [refusal["jobId"] for refusal in answer["refused"]] == [waiting, NOWHERE]
    job = await harness.store.get(job_id)
    assert (job.status, job.epoch > epoch) == ("queued", True)
    assert [(lease.job_id, lease.epoch) for lease in harness.lost] == [(job_id, epoch)]
    assert harness.stopped == []
    assert "at least 1" in (await harness.refused("POST", "/api/admin/recover", {"ids": []}))["ids"]
    problem = await harness.call("POST", "/api/admin/recover", {}, status=422)
    assert problem["detail"].startswith("name at least 1 job"), "what is wrong with all of it has no field before it"


async def test_recovering_a_listed_run_leaves_a_later_one_alone(harness: Any) -> None:
    job_id, other = await harness.submit(), await harness.submit()
    await harness.start(job_id)
    await harness.start(other)
    listed = (await harness.call("GET", "/api/admin/stuck?timeout=0"))["jobs"]
    assert {found["jobId"]: found["epoch"] for found in listed} == {job_id: 1, other: 1}
    await harness.settle(job_id, Released("drain"))
    again = await harness.start(job_id)
    runs = [{"jobId": found["jobId"], "epoch": found["epoch"]} for found in listed]
    answer = await harness.call("POST", "/api/admin/recover", {"jobs": runs})
    assert answer["done"] == 1
    [refusal] = answer["refused"]
    assert refusal["jobId"] == job_id and "epoch 1 is over" in refusal["message"]
    job = await harness.store.get(job_id)
    assert (job.status, job.lease) == ("running", again)
