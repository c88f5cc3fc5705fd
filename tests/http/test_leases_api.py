"""Remote workers: jobs leased over HTTP, renewed, settled, and lost."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from secondunit.daemon.config.remote.payload_schemas import PayloadSchema
from secondunit.daemon.formats import instant
from secondunit.daemon.http.contract.leases import answers, asks
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.model import Status
from secondunit.queue.retry import RetryPolicy
from tests.http.conftest import TTL, ApiHarness, Build

SCHEMA = PayloadSchema(
    {
        "type": "object",
        "properties": {"page": {"type": "integer", "minimum": 1}, "pin": {"type": "string", "writeOnly": True}},
        "required": ["page"],
    }
)


async def _never_run(*_: Any) -> None:
    raise AssertionError("its jobs are leased")


def leased(type: str, **fields: Any) -> HandlerSpec:
    once = RetryPolicy(1, "fixed", timedelta(seconds=5))
    return HandlerSpec(
        type, SCHEMA.model(type), _never_run, **{"concurrency": 3, "retry": once, **fields}, remote=True,
        secrets=SCHEMA.secrets, artifacts=lambda _: {},
    )  # fmt: skip


SPECS = (leased("ocr"), leased("asr", concurrency=1))


@pytest.fixture
async def harness(build: Build) -> AsyncIterator[ApiHarness]:
    """A daemon whose types ocr and asr are leased."""
    harness = await build(specs=SPECS)
    loops = [asyncio.create_task(loop) for loop in harness.remote.loops()]
    await harness.clock.settle()
    yield harness
    for loop in loops:
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop


async def submit(harness: ApiHarness, type: str = "ocr", **fields: Any) -> str:
    return await harness.submit(type, {"page": 1}, **fields)


async def take(harness: ApiHarness, *types: str, worker: str = "w1", headers: Any = None, **fields: Any) -> list[Any]:
    body = {"types": list(types) or ["ocr"], "worker": worker, **fields}
    answer = await harness.call("POST", "/api/leases", body, headers=headers)
    return list(answer["leases"])


async def one(harness: ApiHarness, **fields: Any) -> tuple[str, str]:
    """A job that is leased, and the path of its lease."""
    job_id = await submit(harness)
    [lease] = await take(harness, **fields)
    assert lease["jobId"] == job_id
    return job_id, f"/api/leases/{lease['token']}"


async def lost(harness: ApiHarness, method: str, path: str, body: Any, headers: Any = None) -> None:
    """The call is told that the lease is lost."""
    problem = await harness.call(method, path, body, status=409, headers=headers)
    assert problem["type"].endswith("lease_lost")


async def every_write_is_refused(harness: ApiHarness, path: str, headers: Any = None) -> None:
    await lost(harness, "PUT", path, {"progress": 99}, headers)
    await lost(harness, "PUT", f"{path}/steps/a", {"result": 1}, headers)
    await lost(harness, "POST", f"{path}/complete", {"result": "stale"}, headers)
    await lost(harness, "POST", f"{path}/partial", {"result": "stale", "missing": [1]}, headers)
    error = {"class": "deterministic", "type": "stale", "message": "stale"}
    await lost(harness, "POST", f"{path}/fail", {"error": error}, headers)
    await lost(harness, "POST", f"{path}/release", {"reason": "stale"}, headers)


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


async def test_payloads_are_held_to_their_schema(harness: ApiHarness) -> None:
    body = {"type": "ocr", "payload": {"page": 0, "color": "red"}}
    faults = await harness.refused("POST", "/api/jobs", body)
    assert faults == {
        "payload.page": "is less than the minimum of 1",
        "payload.color": "unknown field; known are page, pin",
    }
    assert "is required" in (await harness.refused("POST", "/api/jobs", {"type": "ocr", "payload": {}}))["payload.page"]


async def test_a_worker_sees_secrets_and_nobody_else_does(harness: ApiHarness) -> None:
    job_id = await harness.submit("ocr", {"page": 1, "pin": "1234"})
    [lease] = await take(harness)
    assert lease["payload"]["pin"] == "1234"
    assert (await harness.call("GET", f"/api/jobs/{job_id}"))["payload"]["pin"] == "***"
    await harness.call("POST", f"/api/leases/{lease['token']}/complete", {"result": 1})
    assert "1234" not in json.dumps(dict((await harness.store.get(job_id)).payload))


async def test_a_payload_is_filled_from_the_parents_result(harness: ApiHarness) -> None:
    parent, path = await one(harness)
    payload = {"page": {"$from": parent, "path": "next"}}
    child = await harness.submit("ocr", payload, dependsOn=[parent])
    assert await take(harness) == []
    await harness.call("POST", f"{path}/complete", {"result": {"next": 7}})
    [lease] = await take(harness)
    assert (lease["jobId"], lease["payload"]) == (child, {"page": 7})


async def test_what_can_not_be_filled_fails_and_no_worker_gets_it(harness: ApiHarness) -> None:
    parent, path = await one(harness)
    missing = await harness.submit("ocr", {"page": {"$from": parent, "path": "nothing"}}, dependsOn=[parent])
    wrong = await harness.submit("ocr", {"page": {"$from": parent, "path": "text"}}, dependsOn=[parent])
    await harness.call("POST", f"{path}/complete", {"result": {"text": "seven"}})
    assert await take(harness, max=2) == []
    jobs = [await harness.store.get(id) for id in (missing, wrong)]
    assert [(job.status, job.error and job.error.type) for job in jobs] == [
        (Status.FAILED, "no_such_result"),
        (Status.FAILED, "bad_payload"),
    ]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"types": []}, "types"),
        ({"types": ["clip"]}, "types.0"),
        ({"types": ["ocr", "nothing"]}, "types.1"),
        ({"max": 0}, "max"),
        ({"max": 101}, "max"),
        ({"max": True}, "max"),
        ({"waitSeconds": -1}, "waitSeconds"),
        ({"waitSeconds": 60.5}, "waitSeconds"),
        ({"waitSeconds": "5"}, "waitSeconds"),
        ({"waitSeconds": None}, "waitSeconds"),
        ({"worker": ""}, "worker"),
        ({"worker": " w"}, "worker"),
        ({"worker": "a\nb"}, "worker"),
        ({"worker": "w" * 101}, "worker"),
        ({"more": 1}, "more"),
    ],
)
async def test_what_no_worker_may_ask_is_refused_by_its_field(harness: ApiHarness, change: Any, field: str) -> None:
    body = {"types": ["ocr"], "worker": "w", **change}
    assert list(await harness.refused("POST", "/api/leases", body)) == [field]


async def test_odd_news_are_refused_by_their_fields(harness: ApiHarness) -> None:
    job_id, path = await one(harness)
    before = await harness.store.get(job_id)
    for body, field in (
        ({"progress": 101}, "progress"),
        ({"progress": -1}, "progress"),
        ({"progress": "1"}, "progress"),
        ({"phase": ""}, "phase"),
        ({"stats": []}, "stats"),
        ({"token": "x"}, "token"),
    ):
        assert list(await harness.refused("PUT", path, body)) == [field]
    assert list(await harness.refused("POST", f"{path}/complete", {})) == ["result"]
    assert list(await harness.refused("POST", f"{path}/partial", {"result": 1, "missing": []})) == ["missing"]
    assert list(await harness.refused("PUT", f"{path}/steps/artifact%2Fx", {"result": 1})) == ["name"]
    assert list(await harness.refused("PUT", f"{path}/steps/{'n' * 1001}", {"result": 1})) == ["name"]
    large = io.BytesIO(json.dumps({"result": "x" * (1 << 20)}).encode())
    answer = await harness.raw("POST", f"{path}/complete", data=large, headers={"Content-Type": "application/json"})
    assert answer.status == 413
    assert await harness.store.get(job_id) == before


async def test_a_text_that_is_no_token_is_a_lost_lease(harness: ApiHarness) -> None:
    job_id, path = await one(harness)
    token = path.rpartition("/")[2]
    kind, id, epoch, seal = token.split(".")
    forged = ("x", f"{kind}.{id}.{epoch}", f"{kind}.{id}.2.{seal}", f"{kind}.{id}.0{epoch}.{seal}", token + "=",
              f"{kind}.job_{'a' * 26}.{epoch}.{seal}", token[:-1] + ("A" if token[-1] != "A" else "B"),
              "%C2%B2".join(token.split("1", 1)), "t" * 5000)  # fmt: skip
    for one_of_them in forged:
        await lost(harness, "POST", f"/api/leases/{one_of_them}/complete", {"result": 1})
    assert (await harness.store.get(job_id)).status is Status.RUNNING


async def test_a_token_is_good_under_its_own_key_only(harness: ApiHarness) -> None:
    ours, theirs = await harness.key("work", name="a"), await harness.key("work", name="b")
    submitter = await harness.key("submit")
    answer = await harness.call(
        "POST", "/api/jobs", {"type": "ocr", "payload": {"page": 1}}, status=201, headers=submitter
    )
    [lease] = await take(harness, headers=ours)
    path = f"/api/leases/{lease['token']}"
    await every_write_is_refused(harness, path, theirs)
    done = await harness.call("POST", f"{path}/complete", {"result": 1}, headers=ours)
    assert done == {"jobId": answer["jobId"], "status": "completed"}
    await lost(harness, "POST", f"{path}/complete", {"result": 1}, theirs)


async def test_a_key_leases_its_types_alone_and_nothing_without_the_scope(harness: ApiHarness) -> None:
    for_asr = await harness.key("work", types=["asr"])
    body = {"types": ["ocr"], "worker": "w"}
    problem = await harness.call("POST", "/api/leases", body, status=403, headers=for_asr)
    assert problem["detail"] == "this key is for asr alone, not ocr"
    await harness.call("POST", "/api/leases", {"types": ["asr"], "worker": "w"}, headers=for_asr)
    for scope in ("read", "submit", "admin"):
        await harness.call("POST", "/api/leases", body, status=403, headers=await harness.key(scope))
    await harness.call("GET", "/api/jobs", status=403, headers=for_asr)


async def test_a_key_that_is_revoked_waits_for_nothing_and_writes_nothing(harness: ApiHarness) -> None:
    key, reader = await harness.key("work"), await harness.key("submit")
    await harness.call("POST", "/api/jobs", {"type": "ocr", "payload": {"page": 1}}, status=201, headers=reader)
    [lease] = await take(harness, headers=key)
    waiting = asyncio.create_task(take(harness, "ocr", headers=key, waitSeconds=60))
    await harness.until(lambda: len(harness.leasing.room))

    await harness.keys.revoke(key["Authorization"].split("_")[1])

    assert await waiting == []
    await harness.call("PUT", f"/api/leases/{lease['token']}", {}, status=401, headers=key)
    await harness.clock.advance(TTL.total_seconds() + 1)
    assert (await harness.store.get(lease["jobId"])).status is Status.QUEUED


async def test_so_many_calls_of_one_key_may_wait(harness: ApiHarness) -> None:
    harness.leasing.room.most_of_key = 2
    calls = [asyncio.create_task(take(harness, worker=f"w{n}", waitSeconds=60)) for n in range(2)]
    await harness.until(lambda: len(harness.leasing.room) == 2)
    await harness.call("POST", "/api/leases", {"types": ["ocr"], "worker": "w"}, status=429)
    await harness.clock.advance(60)
    assert [await call for call in calls] == [[], []]
    assert await take(harness) == []


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


async def test_an_explanation_names_the_workers_that_were_last_seen(harness: ApiHarness) -> None:
    job_id = await submit(harness)
    told = await harness.call("GET", f"/api/jobs/{job_id}/explain")
    assert told["reason"] == "slot" and "none was seen" in told["sentence"]

    await harness.call("POST", "/api/types/ocr/pause")
    assert (await harness.call("GET", f"/api/jobs/{job_id}/explain"))["reason"] == "paused"
    await take(harness, worker="gpu-7")
    await harness.call("POST", "/api/types/ocr/resume")
    await harness.clock.advance(12)
    told = await harness.call("GET", f"/api/jobs/{job_id}/explain")
    assert told["reason"] == "slot" and "no worker asks" in told["sentence"] and "gpu-7 (12 s ago)" in told["sentence"]

    await take(harness, worker="gpu-8")
    told = await harness.call("GET", f"/api/jobs/{job_id}/explain")
    assert told["reason"] == "running" and "gpu-8" in told["sentence"]


async def test_full_slots_are_explained_with_who_is_ahead(harness: ApiHarness) -> None:
    first, second = await submit(harness, "asr"), await submit(harness, "asr")
    await take(harness, "asr")
    told = await harness.call("GET", f"/api/jobs/{second}/explain")
    assert (told["reason"], told["blockedBy"]) == ("slot", [first])
    assert "1 of 1 slots is busy" in told["sentence"] and "w1" in told["sentence"]


async def test_the_list_of_types_shows_their_workers(harness: ApiHarness) -> None:
    waiting = asyncio.create_task(take(harness, "ocr", "asr", worker="gpu-7", waitSeconds=60))
    await harness.until(lambda: len(harness.leasing.room))
    types = {one["type"]: one for one in (await harness.call("GET", "/api/types"))["types"]}
    seen = {"name": "gpu-7", "key": None, "lastSeenAt": instant(harness.clock.now()), "waiting": True}
    assert types["ocr"]["workers"] == [seen] == types["asr"]["workers"]
    assert types["idle"]["workers"] == []
    await harness.clock.advance(60)
    await waiting
    types = {one["type"]: one for one in (await harness.call("GET", "/api/types"))["types"]}
    assert types["ocr"]["workers"][0]["waiting"] is False
