"""What holds for every answer, and the calls for operators."""

import gzip
import json
import re
from typing import Any

import aiohttp
import pytest

from secondunit.daemon.http.routes import ROUTES
from secondunit.daemon.http.transport.problems import PROBLEM_TYPES
from secondunit.daemon.monitoring.health_report import HealthReport
from secondunit.queue import errors

ORIGIN = "chrome-extension://abcdefghijklmnop"
ASKED = "authorization,x-api-key,content-type,idempotency-key,last-event-id,prefer"
CALLS = """
    admin.backup admin.check admin.doctor analyze.from_url analyze.upload artifacts.of_job artifacts.serve audit.find
    backend.show batches.cancel batches.find batches.retry batches.show
    deliveries.of_job deliveries.retry docs.asset docs.document docs.page errors.groups events.follow
    jobs.cancel jobs.cancel_all jobs.explain jobs.find jobs.retry jobs.retry_all jobs.show jobs.submit
    jobs.submit_batch keys.add keys.find keys.revoke ops.health ops.metrics ops.pause ops.resume
    recover.recover recover.stuck stats.find stream.follow types.limit types.list videos.analyze
    videos.locations videos.retry
"""
SHAPES = """
    Accepted Analysis AnyJob Artifact Artifacts Attempt AuditTrail Audited BackendPoll BackendState Backup
    BackupAsk Batch BatchAsk
    BatchDetail BatchEnded BatchJob BatchJobAsk BatchSummary Batches
    Bulk BulkAsk Check Deliveries Delivery DoctorCheck DoctorReport Document Explained FailedPlace Failure
    FailureGroup FailureGroups
    FieldFault FilterAsk Health HealthCondition Job JobType JobTypes Jobs KeyAsk KnownKey KnownKeys LimitAsk
    MadeKey
    MapVisualization Moved Problem Quarantined Recipe RecoverAsk Refusal RetryAsk Route Stats StatsPoint Stuck StuckJob
    SubmitAsk TakenOn TypeRetry TypeState UnderWay UploadAsk UrlAsk VideoAccepted VideoAsk VideoJob VideoMoved
    VideoParams VideoStats
"""


@pytest.mark.parametrize(("status", "code"), [("ok", 200), ("degraded", 200), ("draining", 503), ("failing", 503)])
async def test_health_says_how_it_is_in_a_word_and_a_status(harness: Any, status: Any, code: int) -> None:
    harness.health = HealthReport(status, ["why"], {"diskFree": 1})
    answer = await harness.call("GET", "/health", status=code)
    assert answer == {"status": status, "reasons": ["why"], "conditions": [], "notes": [], "diskFree": 1}


async def test_doctor_is_told_what_the_daemon_sees_of_itself(harness: Any) -> None:
    assert await harness.call("GET", "/api/admin/doctor") == {
        "version": "1.2.3",
        "pid": 7,
        "keys": True,
        "settings": {"PORT": 8000},
        "origins": {"PORT": "default"},
        "checks": [
            {"name": "backend", "state": "bad", "found": "it is down", "remedy": "see to it"},
            {
                "name": "sandbox",
                "state": "bad",
                "found": "SANDBOX is off: programs of jobs may do what the daemon may",
                "remedy": "set SANDBOX=auto and restart (docs/sandbox.md)",
            },
        ],
    }


async def test_metrics_are_text_of_their_own_kind(harness: Any) -> None:
    response = await harness.raw("GET", "/metrics")
    assert response.headers["Content-Type"] == "text/plain; version=1.0.0; charset=utf-8"
    assert await response.text() == "secondunit_up 1\n"


async def test_requests_are_measured_by_route_and_streams_are_not(harness: Any) -> None:
    job_id = await harness.submit()
    await harness.call("GET", f"/api/jobs/{job_id}")
    await harness.call("GET", "/api/jobs/job_x", status=404)
    await harness.call("GET", "/nowhere", status=404)
    async with harness.listen("/api/events"):
        pass
    assert harness.metrics.observed == [
        ("POST", "/api/jobs", 201),
        ("GET", "/api/jobs/{id}", 200),
        ("GET", "/api/jobs/{id}", 404),
    ]


@pytest.mark.parametrize("path", ["/", "/api", "/api/jobs/", "/api/jobs/x/y/z", "/docs/../secret", "/docs/nothing.js"])
async def test_nothing_is_a_problem_document_too(harness: Any, path: str) -> None:
    await harness.call("GET", path, status=404)


async def test_who_is_lost_is_told_where_the_calls_are_listed(harness: Any) -> None:
    problem = await harness.call("GET", "/api/nothing", status=404)
    assert "/api/openapi.json" in problem["detail"]


async def test_a_wrong_method_is_told_the_right_ones(harness: Any) -> None:
    response = await harness.raw("PUT", "/api/jobs")
    problem = await response.json()
    assert (response.status, response.content_type) == (405, "application/problem+json")
    assert set(response.headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}
    assert "POST" in problem["detail"]


async def test_head_answers_for_every_get_without_a_body(harness: Any) -> None:
    answer = await harness.call("POST", "/api/jobs/batch", {"jobs": [{"type": "idle", "payload": {}}]}, status=201)
    job_id = answer["jobs"][0]["jobId"]
    for route in ROUTES:
        if route.method != "GET" or "{name}" in route.path or "{video_id}" in route.path:  # their own tests have some
            continue
        own = answer["batchId"] if route.id.startswith("batches") else job_id
        path = route.path.replace("{id}", own).replace("{asset}", "start.js")
        response = await harness.raw("HEAD", path)
        assert (response.status, await response.read()) == (200, b""), path
        if not route.stream:
            full = await harness.raw("GET", path)
            assert response.headers["Content-Type"] == full.headers["Content-Type"]


async def test_answers_beyond_a_kibibyte_are_compressed_for_those_who_ask(harness: Any) -> None:
    for _ in range(5):
        await harness.submit()
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        for asked, packed in [
            ("gzip, deflate, br", True),
            ("GZIP;q=0.5", True),
            ("*", True),
            ("br, gzip ; q=1", True),
            ("gzip;q=0", False),
            ("identity", False),
            ("x-gzip2", False),
            ("", False),
        ]:
            response = await session.get(harness.client.make_url("/api/jobs"), headers={"Accept-Encoding": asked})
            body = await response.read()
            assert (response.headers.get("Content-Encoding") == "gzip") is packed, asked
            assert response.headers["Vary"] == "Accept-Encoding"
            assert len(json.loads(gzip.decompress(body) if packed else body)["jobs"]) == 5
        response = await session.get(harness.client.make_url("/health"), headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in response.headers


async def test_json_is_compact_and_in_utf_8(harness: Any) -> None:
    job_id = await harness.submit("clip", {"inputPath": "/夜市"})
    body = await (await harness.raw("GET", f"/api/jobs/{job_id}")).read()
    assert '"payload":{"inputPath":"/夜市"}'.encode() in body


@pytest.mark.parametrize("path", ["/api/jobs", "/api/jobs/job_x", "/api/events", "/health"])
async def test_an_allowed_origin_may_ask_with_its_headers_and_read_the_answer(build: Any, path: str) -> None:
    harness = await build(api_key="k", cors_origins=(ORIGIN, "http://localhost:3000"))
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": ASKED}
    response = await harness.raw("OPTIONS", path, headers=preflight)
    assert response.status == 200
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert set(response.headers["Access-Control-Allow-Headers"].lower().split(",")) == set(ASKED.split(","))
    for key in ("k", "wrong"):
        answer = await harness.raw("GET", path, headers={"Origin": ORIGIN, "X-API-Key": key})
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Origin" in answer.headers.getall("Vary")
        answer.close()


async def test_a_submit_from_an_allowed_origin_reads_its_location(build: Any) -> None:
    harness = await build(cors_origins=(ORIGIN,))
    response = await harness.raw("POST", "/api/jobs", {"type": "idle", "payload": {}}, headers={"Origin": ORIGIN})
    assert response.status == 201
    assert "Location" in response.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize(
    "changed",
    [
        {"Origin": "chrome-extension://other"},
        {"Access-Control-Request-Method": "PATCH"},
        {"Access-Control-Request-Headers": "x-other"},
    ],
)
async def test_other_origins_methods_and_headers_are_not_allowed(build: Any, changed: dict[str, str]) -> None:
    harness = await build(cors_origins=(ORIGIN,))
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"} | changed
    response = await harness.raw("OPTIONS", "/api/jobs", headers=preflight)
    assert (response.status, response.content_type) == (403, "application/problem+json")
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("word", ["batch", "retry", "cancel"])
async def test_what_stands_for_any_job_stands_for_no_call(harness: Any, word: str) -> None:
    for method in ("GET", "DELETE"):
        response = await harness.raw(method, f"/api/jobs/{word}")
        assert (response.status, response.headers["Allow"]) == (405, "POST")
    assert (await harness.call("GET", f"/api/jobs/{word}2", status=404))["title"] == "No such job"


async def test_a_job_that_is_refused_is_named_as_the_caller_did(harness: Any) -> None:
    answer = await harness.call("POST", "/api/admin/recover", {"ids": ["no id"]})
    assert answer == {"done": 0, "refused": [{"jobId": "no id", "message": "no job has the id no id"}]}


async def test_without_origins_there_is_no_preflight(harness: Any) -> None:
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    response = await harness.raw("OPTIONS", "/api/jobs", headers=preflight)
    assert response.status == 405
    assert (
        "Access-Control-Allow-Origin" not in (await harness.raw("GET", "/api/jobs", headers={"Origin": ORIGIN})).headers
    )


async def test_every_route_of_the_application_is_in_the_document(harness: Any) -> None:
    document = await harness.call("GET", "/api/openapi.json")
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in harness.client.app.router.routes()
        if route.method not in ("HEAD", "OPTIONS")
    }
    described = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert served == described
    assert document["info"]["version"] == "1.2.3"


async def test_the_document_refers_to_nothing_that_is_not_in_it_and_describes_every_call(harness: Any) -> None:
    document = await harness.call("GET", "/api/openapi.json")
    schemas = document["components"]["schemas"]
    for kind, name in re.findall(r'"\$ref": "#/components/(\w+)/([\w.]+)"', json.dumps(document)):
        assert name in document["components"][kind]
    assert re.findall(r'"\$ref": "(?!#/components/|#/webhooks/)', json.dumps(document)) == []
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        assert all(int(status) in range(200, 600) for status in operation["responses"])
    assert [one["$ref"].rpartition("/")[2] for one in schemas["SubmitAsk"]["oneOf"]] == [
        "SubmitClip", "SubmitIdle", "SubmitPaid",
    ]  # fmt: skip
    assert set(schemas["SubmitClip"]["properties"]) == {
        "type", "payload", "priority", "callback", "retryPolicy", "runAt", "timeoutSeconds", "dependsOn",
        "onParentFailure",
    }  # fmt: skip


async def test_the_names_that_clients_are_generated_from_stay(harness: Any) -> None:
    """A method or a class of a generated client is named after them: a module may be renamed, these may not."""
    document = await harness.call("GET", "/api/openapi.json")
    calls = {operation["operationId"] for methods in document["paths"].values() for operation in methods.values()}
    assert set(CALLS.split()) - calls == set()
    assert set(SHAPES.split()) - set(document["components"]["schemas"]) == set()


async def test_the_page_loads_nothing_from_anywhere_else(harness: Any) -> None:
    page = await (await harness.raw("GET", "/docs")).text()
    assert "://" not in page
    for asset in re.findall(r'(?:src|href)="([^"]+)"', page):
        response = await harness.raw("GET", f"/{asset}")
        assert response.status == 200
        assert len(await response.read()) > 50


def test_every_error_of_the_queue_that_reaches_a_caller_has_its_row() -> None:
    inside = {errors.QueueError, errors.LeaseLost, errors.BadDependencies}  # the last is told as BadPayload
    inside |= {errors.DutyLost, errors.ScheduleChanged}  # the holder's own, and tried again
    inside |= {errors.BoxTaken, errors.NotMoved}  # end the daemon, or the command: no call raises them
    raised = {
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.QueueError)
    }
    assert raised - inside <= set(PROBLEM_TYPES)


def test_no_two_kinds_of_problem_share_a_word() -> None:
    words = [kind.word for kind in PROBLEM_TYPES.values()]
    assert len(words) == len(set(words))
