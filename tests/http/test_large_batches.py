"""Batches of megabytes: parsed job by job, as strictly as small ones, and stored as they were written."""

import io
import json
from typing import Any

import pytest

JSON = {"Content-Type": "application/json"}
MIB = 1024 * 1024
IDLE = {"type": "idle", "payload": {}}
CLIP = {"type": "clip", "payload": {"inputPath": "/" + "x" * 10_000}}


def batch(*jobs: Any, more: str = "") -> bytes:
    """A body of more than a megabyte with these jobs in it."""
    text = json.dumps({"jobs": [*jobs, *[CLIP] * 120]}, ensure_ascii=False)
    return (text[:-1] + more + "}").encode("utf-8", "surrogatepass")


async def posted(harness: Any, raw: bytes, **headers: str) -> tuple[int, Any]:
    response = await harness.raw("POST", "/api/jobs/batch", data=io.BytesIO(raw), headers=JSON | headers)
    return response.status, await response.json()


async def test_a_large_batch_is_stored_as_it_was_written(harness: Any) -> None:
    job: Any = {"type": "clip", "payload": {"inputPath": '/é\\"[,{🍲\n\u0001'}, "priority": 1}
    status, answer = await posted(harness, batch(job))
    assert status == 201 and len(answer["jobs"]) == 121
    stored = await harness.call("GET", f"/api/jobs/{answer['jobs'][0]['jobId']}")
    assert (stored["payload"]["inputPath"], stored["priority"]) == (job["payload"]["inputPath"], 1)


async def test_a_large_batch_under_a_key_is_taken_once(harness: Any) -> None:
    key = {"Idempotency-Key": "megabytes"}
    first, again, other = batch(), batch(), batch(IDLE)
    status, answer = await posted(harness, first, **key)
    assert status == 201
    assert await posted(harness, again, **key) == (200, answer)
    assert (await posted(harness, other, **key))[0] == 409


@pytest.mark.parametrize(
    ("raw", "status", "says"),
    [
        (batch({**CLIP, "payload": {"inputPath": "x" * MIB}}), 413, "jobs.0 has "),
        (json.dumps({"jobs": [{"marks": "🍲" + "x" * 600_000}] * 15}, ensure_ascii=False).encode(), 413, "emoji"),
        (batch(more=', "jobs": []'), 400, "'jobs' stands twice"),
        (batch().replace(b'"type"', b'"payload": {}, "type"', 1), 400, "in jobs.0: the key 'payload' stands twice"),
        (batch({"priority": float("nan")}), 400, "not JSON"),
        (batch({"payload": "\udfff"}), 400, "in jobs.0: the body is not UTF-8 at byte"),
        (batch(more=", x"), 400, "not JSON"),
        (batch(more=', "more": ' + "[" * 2000 + "]" * 2000), 400, "nested deeper"),
        (b"[" + batch() + b"]", 400, "no object"),
    ],
    ids=["large", "wide", "twice", "twice within", "NaN", "not UTF-8", "broken", "deep", "a list"],
)
async def test_what_is_no_batch_is_refused_with_the_reason(harness: Any, raw: bytes, status: int, says: str) -> None:
    answered, problem = await posted(harness, raw)
    assert (answered, says in problem["detail"]) == (status, True), problem


async def test_a_large_batch_of_too_many_jobs_is_not_looked_at_further(harness: Any) -> None:
    status, problem = await posted(harness, batch(*[IDLE] * 1000))
    assert status == 422 and [fault["field"] for fault in problem["errors"]] == ["jobs"]
    assert problem["errors"][0]["message"] == "should have at most 1000 entries"


async def test_the_faults_of_a_large_batch_are_named_by_their_places(harness: Any) -> None:
    status, problem = await posted(harness, batch(IDLE, {**IDLE, "priority": 9}, 5))
    assert status == 422
    assert [fault["field"] for fault in problem["errors"]] == ["jobs.1.priority", "jobs.2"]
