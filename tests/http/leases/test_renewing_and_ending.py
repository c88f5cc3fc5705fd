"""Leases that are renewed and ended: what is told of the work, steps, failures, the same call again."""

import asyncio
from typing import Any

import pytest

from secondunit.daemon.formats import instant
from secondunit.daemon.http.contract.leases import answers, asks
from secondunit.queue.model import Status
from tests.http.harness import TTL, ApiHarness
from tests.http.leases.scene import every_write_is_refused, lost, one, take


def test_a_call_is_the_same_whatever_the_order_of_its_fields() -> None:
    body = {"result": {"a": 1, "b": [1, 2]}}
    assert asks.call_of("complete", body) == asks.call_of("complete", {"result": {"b": [1, 2], "a": 1}})
    others: list[tuple[str, Any]] = [
        ("partial", body),
        ("complete", {"result": {"a": 1, "b": [2, 1]}}),
        ("complete", {"result": None}),
    ]
    assert asks.call_of("complete", body) not in {asks.call_of(*other) for other in others}
    assert answers.settled("job_1", Status.FAILED) == answers.Settled("job_1", "failed")


async def test_a_lease_is_renewed_and_tells_of_the_work(harness: ApiHarness) -> None:
    job_id, path = await one(harness)
    await harness.clock.advance(20)

    news = {"progress": 40, "phase": "reading", "message": "page 4", "stats": {"pages": 4}}
    answer = await harness.call("PUT", path, news)

    assert answer == {"expiresAt": instant(harness.clock.now() + TTL), "cancelRequested": False}
    job = await harness.call("GET", f"/api/jobs/{job_id}")
    assert (job["progress"], job["phase"], job["message"], job["stats"]) == (40, "reading", "page 4", {"pages": 4})
    await harness.clock.advance(20)
    await harness.call("PUT", path, {})
    job = await harness.call("GET", f"/api/jobs/{job_id}")
    assert (job["progress"], job["phase"], job["message"]) == (40, "reading", "page 4")


async def test_figures_have_a_bound_all_together_and_the_lease_holds_beyond_it(harness: ApiHarness) -> None:
    job_id, path = await one(harness)
    for n in range(4):
        await harness.call("PUT", path, {"stats": {f"figure {n}": "x" * 1_000_000}})
    problem = await harness.call("PUT", path, {"progress": 50, "stats": {"more": "x" * 500_000}}, status=422)
    assert problem["errors"][0]["field"] == "stats" and "all stats together" in problem["errors"][0]["message"]
    job = await harness.call("GET", f"/api/jobs/{job_id}")
    assert (job["progress"], len(job["stats"])) == (0, 4)
    await harness.call("POST", f"{path}/complete", {"result": None})


async def test_progress_is_told_twice_a_second_at_most_and_the_last_one_always(harness: ApiHarness) -> None:
    job_id, path = await one(harness)
    async with harness.listen("/api/events", Last_Event_ID="g1-99") as reader:
        for percent in range(1, 20):
            await harness.call("PUT", path, {"progress": percent})
        await harness.clock.advance(1)
        await harness.call("POST", f"{path}/complete", {"result": 1})
        told = []
        while (message := await reader.next()).data.get("type") != "job:completed":
            if message.data.get("type") == "job:progress":
                told.append(message.data["progress"])
    assert told[-1] == 19 and len(told) <= 3, job_id


async def test_finished_steps_are_given_to_a_later_lease(harness: ApiHarness) -> None:
    job_id, path = await one(harness)
    for _ in range(2):
        await harness.call("PUT", f"{path}/steps/split%2F1", {"result": [1, None]})
    await harness.call("POST", f"{path}/release", {"reason": "a new version is there"})

    [lease] = await take(harness)
    assert (lease["jobId"], lease["steps"]) == (job_id, {"split/1": [1, None]})


async def test_a_failure_is_tried_again_as_the_retry_policy_says(harness: ApiHarness) -> None:
    job_id, path = await one(harness)
    error = {"class": "transient", "type": "busy", "message": "the model is busy"}
    answer = await harness.call("POST", f"{path}/fail", {"error": error})
    assert answer == {"jobId": job_id, "status": "queued"}
    assert await take(harness) == []
    await harness.clock.advance(7)
    [lease] = await take(harness)
    assert (lease["attempt"], lease["epoch"]) == (2, 2)
    answer = await harness.call("POST", f"/api/leases/{lease['token']}/fail", {"error": error})
    assert answer == {"jobId": job_id, "status": "failed"}


async def test_a_worker_may_ask_for_a_longer_wait(harness: ApiHarness) -> None:
    _, path = await one(harness)
    error = {"class": "timeout", "type": "slow", "message": "it took too long"}
    await harness.call("POST", f"{path}/fail", {"error": error, "retryAfterSeconds": 60})
    await harness.clock.advance(59)
    assert await take(harness) == []
    await harness.clock.advance(2)
    assert len(await take(harness)) == 1


async def test_a_partial_result_and_a_deterministic_failure_end_the_job(harness: ApiHarness) -> None:
    _, path = await one(harness)
    answer = await harness.call("POST", f"{path}/partial", {"result": {"a": 1}, "missing": ["page 2"]})
    assert answer["status"] == "partial"
    job_id, path = await one(harness)
    error = {"class": "deterministic", "type": "no_text", "message": "there is no text"}
    assert (await harness.call("POST", f"{path}/fail", {"error": error}))["status"] == "failed"
    job = await harness.call("GET", f"/api/jobs/{job_id}")
    assert job["error"] == error


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("complete", {"result": {"a": 1}}),
        ("partial", {"result": None, "missing": [1]}),
        ("fail", {"error": {"class": "transient", "type": "x", "message": "y"}}),
        ("release", {"reason": "later"}),
    ],
)
async def test_the_same_call_again_is_answered_the_same(harness: ApiHarness, verb: str, body: Any) -> None:
    job_id, path = await one(harness)
    first = await harness.call("POST", f"{path}/{verb}", body)
    before = await harness.store.get(job_id)
    assert await harness.call("POST", f"{path}/{verb}", body) == first
    await harness.clock.advance(10)
    await take(harness, worker="another")  # a later lease changes nothing of that
    assert await harness.call("POST", f"{path}/{verb}", body) == first
    job = await harness.store.get(job_id)
    assert [run for run in job.runs if run.epoch == 1] == list(before.runs)


async def test_another_call_after_the_end_is_refused(harness: ApiHarness) -> None:
    job_id, path = await one(harness)
    await harness.call("POST", f"{path}/complete", {"result": 1})
    before = await harness.store.get(job_id)
    await every_write_is_refused(harness, path)
    await lost(harness, "POST", f"{path}/complete", {"result": 2})
    assert await harness.store.get(job_id) == before


async def test_two_ends_at_once_are_one(harness: ApiHarness) -> None:
    job_id, path = await one(harness)
    answers = await asyncio.gather(*(harness.raw("POST", f"{path}/complete", {"result": n % 2}) for n in range(20)))
    statuses = [answer.status for answer in answers]
    assert sorted(statuses) == [200] * 10 + [409] * 10
    result = (await harness.store.get(job_id)).result
    assert {answer.status for n, answer in enumerate(answers) if n % 2 == result} == {200}
