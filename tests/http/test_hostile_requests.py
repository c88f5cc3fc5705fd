"""Requests that are made to take long: each is answered at once, with the status that its fault has.

CPU time is measured and not the clock's, so that a busy machine accuses nobody; it is this process's, client included.
"""

import io
import json
import time
from typing import Any

import pytest

from secondunit.daemon.http.routes import ROUTES
from secondunit.daemon.http.transport.route import ApiRoute
from tests.http.wrong_bodies import CROWDED, JSON, MANY

SOON = 0.8  # seconds of CPU time; the least of these took more than one
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JOB = {"type": "clip", "payload": {"inputPath": "/a"}}


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


SOME = {f"a{n}": 1 for n in range(9_000)}
NOT_HERE = ("analyze.from_url", "admin.backup")  # of this harness; they read bodies by the same function
TAKING = [
    route
    for route in ROUTES
    if route.body and "application/json" in route.takes and route.id not in NOT_HERE and "{token}" not in route.path
]  # those of leases: leases/test_bodies.py


@pytest.mark.parametrize("route", TAKING, ids=lambda route: route.id)
async def test_no_call_that_takes_json_lists_unknown_fields_by_the_thousand(harness: Any, route: ApiRoute) -> None:
    path = route.path.replace("{type}", "clip")
    response = await harness.raw(route.method, path, data=io.BytesIO(json.dumps(MANY).encode()), headers=JSON)
    [fault] = (await response.json())["errors"]
    assert response.status == 422 and CROWDED in fault["message"]


@pytest.mark.parametrize(
    ("path", "content", "place", "says"),
    [
        ("/api/jobs", {**JOB, "retryPolicy": MANY}, "retryPolicy", CROWDED),
        ("/api/jobs", {"type": "clip", "payload": MANY}, "payload", CROWDED),
        ("/api/jobs", {"type": "clip", "payload": {"a": {"b": [1] * 80_000}}}, "payload.a.b", CROWDED),
        ("/api/jobs", {"type": "clip", "payload": {"a": [{}, [], "]}[{,:"] * 20_000}}, "payload.a", CROWDED),
        ("/api/jobs", {**JOB, "dependsOn": [1] * 10_001}, "dependsOn", CROWDED),  # small, so on the loop
        ("/api/jobs", {"payload": {"a": 1}, "type": [{"payload": MANY}]}, "type.payload", CROWDED),
        ("/api/jobs", {**JOB, **SOME}, "", "9000 places"),
        ("/api/jobs", {"type": "clip", "payload": SOME}, "payload", "9001 places"),
        ("/api/jobs/batch", {"jobs": [JOB, {**JOB, **MANY}]}, "jobs.1", CROWDED),
        ("/api/jobs/batch", {"jobs": [JOB, {"type": "clip", "payload": MANY}]}, "jobs.1.payload", CROWDED),
        ("/api/jobs/batch", {"jobs": [{**JOB, "dependsOn": [1] * 80_000}]}, "jobs.0.dependsOn", CROWDED),
        ("/api/jobs/batch", {"jobs": [JOB], "callback": MANY}, "callback", CROWDED),
        ("/api/jobs/batch", {"jobs": [JOB], **MANY}, "", CROWDED),
        (
            "/api/jobs/batch",
            {"jobs": [{**JOB, **{f"a{n}": 1 for n in range(90)}} for _ in range(1000)]},
            "",
            "at least 540 places",
        ),
        (
            "/api/jobs/batch",
            {"jobs": [{"type": "clip", "payload": {f"a{n}": 1 for n in range(200)}} for _ in range(1000)]},
            "",
            "",
        ),
        ("/api/jobs/batch", {"jobs": [1] * 100_000}, "jobs", "at most 1000"),
        ("/api/jobs/cancel", {"filter": {"status": ["a," * 1000] * 400}}, "filter.status", "at most 1000 words"),
        ("/api/jobs/cancel", {"filter": {"type": "a," * 500_000}}, "filter.type", "at most 1000 words"),
        ("/api/jobs/cancel", {"filter": {"ids": [""] * 200_000}}, "filter.ids", CROWDED),
        ("/api/jobs/cancel", {"filter": {"ids": [""] * 9_000}}, "filter.ids", "at most 1000"),
    ],
)
async def test_a_body_with_endless_faults_is_refused_without_a_list_of_them(
    harness: Any, path: str, content: Any, place: str, says: str
) -> None:
    status, problem = await answered(harness, path, json.dumps(content, separators=(",", ":")).encode(), **JSON)
    assert status == 422 and len(problem["errors"]) <= 500
    assert says in problem["errors"][0]["message"] and problem["errors"][0]["field"].startswith(place)
    if says:
        assert len(json.dumps(problem)) < 3000 and problem["errors"][0]["field"] == place


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b'{"jobs":[' + b"[]," * 5_000_000 + b"[]]}", 422),
        (b'{"jobs":[' + b'{"a":{}},' * 1_500_000 + b"{}]}", 422),
        (b'{"jobs":[' + b"1," * 7_000_000 + b"1]}", 422),
        (b'{"jobs":["' + b"\\n" * 7_000_000 + b'"]}', 413),
    ],
    ids=["lists", "objects", "numbers", "escapes"],
)
async def test_a_body_of_more_values_than_any_batch_has_is_not_parsed(harness: Any, raw: bytes, status: int) -> None:
    answer, problem = await answered(harness, "/api/jobs/batch", raw, **JSON)
    assert answer == status and problem["detail"].endswith("send several")


@pytest.mark.parametrize(
    ("raw", "status", "says"),
    [
        (b'{"type":' + b"[" * 20_000, 400, "nested deeper"),
        (b'{"a":' * 20_000, 400, "nested deeper"),
        (b"{" + b'"a":1,' * 80_000 + b'"a":1}', 422, CROWDED),
        (b"{" + b'"a":1,' * 900 + b'"a":1}', 400, "'a' stands twice"),
        (b'{"' + b"k" * 500_000 + b'":1,"' + b"k" * 500_000 + b'":1}', 400, "stands twice"),
        (b'{"priority":' + b"9" * 4300 + b"}", 422, "priority"),
        (b'{"priority":[' + b",".join([b"9" * 4300] * 240) + b"]}", 422, "priority"),
        (b'{"priority":1.' + b"9" * 1_000_000 + b"}", 422, "priority"),
        (b'{"priority":' + b"9" * 1_000_000 + b"}", 400, "too many digits"),
        (b"[" + b"1," * 80_000 + b"1]", 422, CROWDED),
    ],
    ids=["lists", "objects", "one key", "few of one key", "long keys", "huge", "many huge", "long", "endless", "array"],
)
async def test_a_body_of_one_strange_sort_is_refused_soon_and_briefly(
    harness: Any, raw: bytes, status: int, says: str
) -> None:
    for path in ("/api/jobs", "/api/jobs/batch"):
        answer, problem = await answered(harness, path, raw, **JSON)
        if path == "/api/jobs":
            assert (answer, says in json.dumps(problem)) == (status, True)
        assert answer in (400, 422) and len(json.dumps(problem)) < 2000


async def test_as_many_values_as_one_job_may_have_are_taken(harness: Any) -> None:
    headers = {f"a{n}": '[{,"\\' * 9 for n in range(9_900)}
    job = {"type": "clip", "payload": {"inputPath": "/a", "headers": headers}}
    status, _ = await answered(harness, "/api/jobs", json.dumps(job).encode(), **JSON)
    assert status == 201
    status, _ = await answered(harness, "/api/jobs/batch", json.dumps({"jobs": [job] * 5}).encode(), **JSON)
    assert status == 201


async def test_a_large_batch_of_plain_jobs_is_taken(harness: Any) -> None:
    jobs = [{"type": "clip", "payload": {"inputPath": "/" + "é, [x] \\n" * 1500}} for _ in range(200)]
    raw = json.dumps({"jobs": jobs}, ensure_ascii=False).encode()
    response = await harness.raw("POST", "/api/jobs/batch", data=io.BytesIO(raw), headers=JSON)
    assert response.status == 201 and len(raw) > 3_000_000


async def test_a_batch_that_names_a_hundred_thousand_unknown_parents_is_told_of_some(harness: Any) -> None:
    parents = [f"job_{n:026}" for n in range(100)]
    jobs = [{"type": "idle", "payload": {}, "dependsOn": parents} for _ in range(1000)]
    response = await harness.raw(
        "POST", "/api/jobs/batch", data=io.BytesIO(json.dumps({"jobs": jobs}).encode()), headers=JSON
    )
    problem = await response.json()
    assert response.status == 422 and len(problem["errors"]) == 500
    assert problem["errors"][0]["field"] == "jobs.0.dependsOn.0"


async def test_a_batch_with_tens_of_thousands_of_parents_of_its_own_is_bound(harness: Any) -> None:
    jobs = [{"type": "idle", "payload": {}, "ref": f"r{n}"} for n in range(60)]
    jobs += [{"type": "idle", "payload": {}, "dependsOn": [f"r{n}" for n in range(60)]} for _ in range(100)]
    answer = await harness.call("POST", "/api/jobs/batch", {"jobs": jobs}, status=201)
    last = await harness.call("GET", f"/api/jobs/{answer['jobs'][-1]['jobId']}")
    assert last["dependsOn"] == [job["jobId"] for job in answer["jobs"][:60]]
