"""Submitting: what is taken, how it is filled in, and what an idempotency key does."""

from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue.model import Target
from secondunit.queue.retry import RetryPolicy

CLIP = {"type": "clip", "payload": {"inputPath": "/a"}}
IDLE = {"type": "idle", "payload": {}}


async def test_a_job_is_taken_and_can_be_read_where_location_says(harness: Any) -> None:
    response = await harness.raw("POST", "/api/jobs", CLIP)
    answer = await response.json()
    assert response.status == 201
    assert answer == {"jobId": answer["jobId"], "status": "queued", "createdAt": "2030-01-01T00:00:00.000Z"}
    assert response.headers["Location"] == f"/api/jobs/{answer['jobId']}"
    job = await harness.call("GET", response.headers["Location"])
    assert (job["status"], job["priority"], job["payload"]) == ("queued", 1, {"inputPath": "/a"})


async def test_every_field_of_a_submission_reaches_the_queue(harness: Any) -> None:
    job_id = await harness.submit(
        priority=0,
        callback="https://example.com/done",
        retryPolicy={"maxRetries": 7, "backoff": "exponential", "initialDelay": 250},
        runAt="2030-01-02T01:30:00+01:30",
        timeoutSeconds=1.5,
    )
    job = await harness.store.get(job_id)
    assert job.priority == 0
    assert job.target == Target("callback", "https://example.com/done")
    assert job.retry == RetryPolicy(7, "exponential", timedelta(milliseconds=250))
    assert job.timeout == timedelta(seconds=1.5)
    shown = await harness.call("GET", f"/api/jobs/{job_id}")
    assert (shown["runAt"], shown["maxAttempts"]) == ("2030-01-02T00:00:00.000Z", 8)


async def test_what_a_retry_policy_leaves_out_comes_from_the_type(harness: Any) -> None:
    job = await harness.store.get(await harness.submit(retryPolicy={"maxRetries": 1}))
    assert job.retry == RetryPolicy(1, "fixed", timedelta(seconds=9))


async def test_null_means_left_out(harness: Any) -> None:
    nothing = dict.fromkeys(["priority", "callback", "retryPolicy", "runAt", "timeoutSeconds", "dependsOn"])
    job = await harness.store.get(await harness.submit(**nothing))
    assert (job.priority, job.target, job.retry.max_retries) == (2, None, 5)


@pytest.mark.parametrize(
    ("changed", "field", "says"),
    [
        ({"type": 5}, "type", "string"),
        ({"type": "cooking"}, "type", "known are clip, idle, paid"),
        ({"type": "paid"}, "type", "GEMINI_API_KEY"),
        ({"payload": None}, "payload", "an object"),
        ({"payload": []}, "payload", "an object"),
        ({"priority": 5}, "priority", "at most 4"),
        ({"priority": -1}, "priority", "at least 0"),
        ({"priority": "1"}, "priority", "whole number"),
        ({"priority": 1.5}, "priority", "whole number"),
        ({"priority": True}, "priority", "whole number"),
        ({"callback": "ftp://example.com/x"}, "callback", "http"),
        ({"callback": "http://127.0.0.1/x"}, "callback", "ALLOW_PRIVATE_ADDRESSES"),
        ({"callback": "http://[::ffff:10.0.0.1]/x"}, "callback", "ALLOW_PRIVATE_ADDRESSES"),
        ({"callback": "https://user:pass@example.com"}, "callback", "password"),
        ({"callback": 7}, "callback", "string"),
        ({"retryPolicy": {"maxRetries": 101}}, "retryPolicy.maxRetries", "100"),
        ({"retryPolicy": {"maxRetries": "3"}}, "retryPolicy.maxRetries", "whole number"),
        ({"retryPolicy": {"backoff": "linear"}}, "retryPolicy.backoff", "exponential"),
        ({"retryPolicy": {"initialDelay": -1}}, "retryPolicy.initialDelay", "0"),
        ({"retryPolicy": {"retries": 1}}, "retryPolicy.retries", "unknown field"),
        ({"runAt": "2030-01-02T00:00:00"}, "runAt", "time zone"),
        ({"runAt": "tomorrow"}, "runAt", "ISO 8601"),
        ({"runAt": 1893456000}, "runAt", "ISO 8601"),
        ({"runAt": "0001-01-01T00:00:00+14:00"}, "runAt", "ISO 8601"),
        ({"timeoutSeconds": 0}, "timeoutSeconds", "greater than 0"),
        ({"timeoutSeconds": "9"}, "timeoutSeconds", "number"),
        ({"timeoutSeconds": 10**9}, "timeoutSeconds", "at most 604800"),
        ({"dependsOn": ["job_x"]}, "dependsOn.0", "no job, and no ref in this request, is called job_x"),
        ({"dependsOn": "job_x"}, "dependsOn", "should be an array"),
        ({"dependsOn": ["job_x"] * 101}, "dependsOn", "at most 100"),
        ({"onParentFailure": "stop"}, "onParentFailure", "fail, cancel or run"),
        ({"ref": "one"}, "ref", "unknown field"),
        ({"retry_policy": {}}, "retry_policy", "unknown field"),
        ({"a\nb": 1}, "a\nb", "unknown field"),
    ],
)
async def test_a_refused_field_is_named_as_it_was_written(
    harness: Any, changed: dict[str, Any], field: str, says: str
) -> None:
    problem = await harness.call("POST", "/api/jobs", IDLE | changed, status=422)
    [error] = problem["errors"]
    assert error["field"] == field
    assert says in error["message"]
    assert (await harness.store.counts()).queued == {}


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({}, "payload.inputPath"),
        ({"inputPath": 3}, "payload.inputPath"),
        ({"input_path": "/a", "inputPath": "/a"}, "payload.input_path"),
        ({"inputPath": "/a", "headers": {"X": 1}}, "payload.headers.X"),
        ({"inputPath": "/outside/a"}, "payload.inputPath"),
        ({"inputPath": "/a", "more": 1}, "payload.more"),
    ],
)
async def test_a_refused_field_of_a_payload_is_named_by_its_path(
    harness: Any, payload: dict[str, Any], field: str
) -> None:
    problem = await harness.call("POST", "/api/jobs", {"type": "clip", "payload": payload}, status=422)
    assert field in [error["field"] for error in problem["errors"]]


async def test_a_missing_type_and_payload_are_both_named(harness: Any) -> None:
    problem = await harness.call("POST", "/api/jobs", {}, status=422)
    assert [error["field"] for error in problem["errors"]] == ["type", "payload"]


async def test_the_same_key_and_body_is_the_same_job_however_it_is_spelled(harness: Any) -> None:
    key = {"Idempotency-Key": "once"}
    first = await harness.call("POST", "/api/jobs", CLIP | {"priority": 3}, status=201, headers=key)
    spelled = b'{ "priority" : 3,\n "payload": {"inputPath": "\\u002fa"}, "type": "clip" }'
    answer = await harness.raw("POST", "/api/jobs", headers=key | {"Content-Type": "application/json"}, data=spelled)
    assert answer.status == 200
    assert await answer.json() == first


async def test_a_repeated_key_tells_where_the_job_stands_by_now(harness: Any) -> None:
    key = {"Idempotency-Key": "once"}
    first = await harness.call("POST", "/api/jobs", IDLE, status=201, headers=key)
    await harness.settle(first["jobId"])
    again = await harness.call("POST", "/api/jobs", IDLE, status=200, headers=key)
    assert again == first | {"status": "completed"}


@pytest.mark.parametrize("other", [IDLE | {"priority": 1}, IDLE | {"priority": 0}, CLIP])
async def test_the_same_key_with_another_body_is_refused(harness: Any, other: dict[str, Any]) -> None:
    key = {"Idempotency-Key": "once"}
    first = await harness.call("POST", "/api/jobs", IDLE | {"priority": 4}, status=201, headers=key)
    problem = await harness.call("POST", "/api/jobs", other, status=409, headers=key)
    assert first["jobId"] in problem["detail"]


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "schlüssel"])
async def test_an_odd_key_is_refused(harness: Any, key: str) -> None:
    problem = await harness.call("POST", "/api/jobs", IDLE, status=422, headers={"Idempotency-Key": key})
    assert problem["errors"][0]["field"] == "Idempotency-Key"


async def test_a_batch_is_taken_in_its_order(harness: Any) -> None:
    answer = await harness.call("POST", "/api/jobs/batch", {"jobs": [CLIP, IDLE, IDLE]}, status=201)
    types = [(await harness.store.get(job["jobId"])).type for job in answer["jobs"]]
    assert types == ["clip", "idle", "idle"]


async def test_one_bad_job_refuses_its_batch_and_all_bad_ones_are_named(harness: Any) -> None:
    jobs = [IDLE, {"type": "cooking", "payload": {}}, {"type": "clip", "payload": {"inputPath": "/outside"}}]
    problem = await harness.call("POST", "/api/jobs/batch", {"jobs": jobs}, status=422)
    assert [error["field"] for error in problem["errors"]] == ["jobs.1.type", "jobs.2.payload.inputPath"]
    assert (await harness.store.counts()).queued == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"jobs": []}, "jobs"),
        ({"jobs": [IDLE] * 1001}, "jobs"),
        ({"jobs": [IDLE, IDLE | {"priority": 9}]}, "jobs.1.priority"),
        ({"jobs": [IDLE, IDLE | {"callback": "http://10.0.0.1"}]}, "jobs.1.callback"),
        ({"jobs": {}}, "jobs"),
        ({}, "jobs"),
    ],
)
async def test_a_refused_field_of_a_batch_is_named_by_its_path(harness: Any, body: Any, field: str) -> None:
    problem = await harness.call("POST", "/api/jobs/batch", body, status=422)
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_a_batch_sent_twice_under_one_key_is_taken_once(harness: Any) -> None:
    key = {"Idempotency-Key": "once"}
    first = await harness.call("POST", "/api/jobs/batch", {"jobs": [IDLE, IDLE]}, status=201, headers=key)
    assert await harness.call("POST", "/api/jobs/batch", {"jobs": [IDLE, IDLE]}, status=200, headers=key) == first
    more = {"jobs": [IDLE, IDLE, IDLE]}
    problem = await harness.call("POST", "/api/jobs/batch", more, status=409, headers=key)
    assert first["jobs"][0]["jobId"] in problem["detail"] and "another body" in problem["detail"]
    assert (await harness.store.counts()).queued == {"idle": 2}


async def test_a_draining_daemon_takes_nothing_new_but_knows_its_keys(harness: Any) -> None:
    key = {"Idempotency-Key": "once"}
    first = await harness.call("POST", "/api/jobs", IDLE, status=201, headers=key)
    harness.queue.draining = True
    assert await harness.call("POST", "/api/jobs", IDLE, headers=key) == first
    refused = await harness.raw("POST", "/api/jobs", IDLE)
    assert (refused.status, refused.headers["Retry-After"]) == (503, "10")


async def test_private_callbacks_can_be_allowed(build: Any) -> None:
    from ipaddress import ip_network

    harness = await build(allowed=(ip_network("127.0.0.0/8"),))
    await harness.submit(callback="http://127.0.0.1:9/x")
