"""Requests that are made to take long: each is answered at once, with the status that its fault has.

CPU time is measured and not the clock's, so that a busy machine accuses nobody; it is this process's, client included.
"""

import io
import json
import time
from typing import Any

import pytest

SOON = 0.8  # seconds of CPU time; the least of these took more than one
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JOB = {"type": "clip", "payload": {"inputPath": "/a"}}
MANY = {f"a{n}": 1 for n in range(80_000)}


async def answered(harness: Any, path: str, data: Any, **headers: str) -> tuple[int, Any]:
    """The status of an answer that comes soon, and the problem."""
    began = time.process_time()
    response = await harness.raw("POST", path, data=io.BytesIO(data), headers=headers)
    body = await response.json()
    took = time.process_time() - began
    assert took < SOON, f"it took {took:.1f} s"
    return response.status, body


@pytest.mark.parametrize("piece", ['"', ";", "a=b;", '";', "\\", "(", "*0=", "=", " ", ","])
@pytest.mark.parametrize(("path", "status"), [("/api/jobs", 415), ("/api/jobs/batch", 415)])
async def test_a_content_type_is_looked_at_up_to_its_parameters(
    harness: Any, piece: str, path: str, status: int
) -> None:
    kind = ("text/html;a" + piece * 7000)[:7000]
    assert (await answered(harness, path, b"{}", **{"Content-Type": kind}))[0] == status
    kind = ("application/json;a" + piece * 7000)[:7000]
    assert (await answered(harness, path, b"[]", **{"Content-Type": kind}))[0] == 400


@pytest.mark.parametrize(
    ("path", "content", "says"),
    [
        ("/api/jobs", {**JOB, **MANY}, "80000 places"),
        ("/api/jobs", {**JOB, "retryPolicy": MANY}, "80000 places"),
        ("/api/jobs", {"type": "clip", "payload": MANY}, "80001 places"),
        (
            "/api/jobs/batch",
            {"jobs": [{**JOB, **{f"a{n}": 1 for n in range(90)}} for _ in range(1000)]},
            "90000 places",
        ),
        ("/api/jobs/cancel", {"filter": {"status": ["a," * 1000] * 400}}, "at most 1000 words"),
        ("/api/jobs/cancel", {"filter": {"type": "a," * 500_000}}, "at most 1000 words"),
        ("/api/jobs/cancel", {"filter": {"ids": [""] * 200_000}}, "at most 1000"),
    ],
)
async def test_a_body_with_endless_faults_is_refused_without_a_list_of_them(
    harness: Any, path: str, content: Any, says: str
) -> None:
    status, problem = await answered(harness, path, json.dumps(content, separators=(",", ":")).encode(), **JSON)
    assert status == 422 and len(json.dumps(problem)) < 3000
    assert says in problem["errors"][0]["message"]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"jobs":[' + b"[]," * 5_000_000 + b"[]]}",
        b'{"jobs":[' + b'{"a":{}},' * 1_500_000 + b"{}]}",
        b'{"jobs":[' + b"1," * 7_000_000 + b"1]}",
        b'{"jobs":["' + b"\\n" * 7_000_000 + b'"]}',
    ],
    ids=["lists", "objects", "numbers", "escapes"],
)
async def test_a_body_of_more_values_than_any_batch_has_is_not_parsed(harness: Any, raw: bytes) -> None:
    status, problem = await answered(harness, "/api/jobs/batch", raw, **JSON)
    assert status == 400 and "250000 values" in problem["detail"]


async def test_a_large_batch_of_plain_jobs_is_taken(harness: Any) -> None:
    jobs = [{"type": "clip", "payload": {"inputPath": "/" + "é, [x] \\n" * 1500}} for _ in range(200)]
    raw = json.dumps({"jobs": jobs}, ensure_ascii=False).encode()
    response = await harness.raw("POST", "/api/jobs/batch", data=io.BytesIO(raw), headers=JSON)
    assert response.status == 201 and len(raw) > 3_000_000
