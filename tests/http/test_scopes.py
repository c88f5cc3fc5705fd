import re
from typing import Any

import pytest

from secondunit.daemon.http.routes import ROUTES
from tests.http.keys import API_KEY, BEARER

SCOPES = ("read", "submit", "admin", "work")
ALL = "read submit admin work"


# Which scope opens which call, said once more: a new route stands here before it is served.
REACH = {
    "jobs.submit": "submit",
    "jobs.submit_batch": "submit",
    "jobs.find": "read submit",
    "jobs.show": "read submit",
    "jobs.cancel": "submit",
    "jobs.retry": "submit",
    "jobs.retry_all": "submit",
    "leases.take": "work",
    "leases.renew": "work",
    "leases.step": "work",
    "leases.artifact": "work",
    "leases.complete": "work",
    "leases.partial": "work",
    "leases.fail": "work",
    "leases.release": "work",
    "jobs.cancel_all": "submit",
    "backend.show": "read",
    "batches.find": "read submit",
    "batches.show": "read submit",
    "batches.cancel": "submit",
    "batches.retry": "submit",
    "deliveries.of_job": "read submit",
    "artifacts.of_job": "read submit",
    "artifacts.serve": "read submit",
    "deliveries.retry": "admin",
    "analyze.upload": "submit",
    "analyze.from_url": "submit",
    "videos.analyze": "submit",
    "videos.locations": "read submit",
    "videos.retry": "submit",
    "events.follow": "read submit",
    "stream.follow": "read submit",
    "jobs.explain": "read submit",
    "errors.groups": "read",
    "stats.find": "read",
    "system.show": "read",
    "types.list": "read",
    "boxes.find": "read",
    "boxes.drain": "admin",
    "boxes.resume": "admin",
    "types.limit": "admin",
    "schedules.find": "read",
    "schedules.run": "admin",
    "schedules.pause": "admin",
    "schedules.resume": "admin",
    "ops.pause": "admin",
    "ops.resume": "admin",
    "recover.stuck": "admin",
    "recover.recover": "admin",
    "admin.check": "admin",
    "admin.doctor": "admin",
    "admin.backup": "",  # on the control socket alone
    "keys.add": "admin",
    "keys.find": "admin",
    "keys.revoke": "admin",
    "audit.find": "admin",
    "ops.metrics": "read",
    "ops.health": ALL,
    "docs.document": ALL,
    "docs.page": ALL,
    "docs.asset": ALL,
}
SUBMITS = {"jobs.submit", "jobs.submit_batch", "analyze.upload", "analyze.from_url", "videos.analyze"}
WORKS = {id for id in REACH if id.startswith("leases.")}  # a worker's steps within a job, which its history tells


def test_every_route_says_who_may_call_it() -> None:
    assert {route.id for route in ROUTES} == REACH.keys()


def test_every_call_that_changes_something_is_audited_or_submits_or_works() -> None:
    changing = {route.id for route in ROUTES if route.method != "GET"}
    assert {route.id for route in ROUTES if route.audited} == changing - SUBMITS - WORKS


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_scope_reaches_its_calls_and_no_other(build: Any, scope: str) -> None:
    harness = await build(api_key=API_KEY, rate_limit=None)
    key = await harness.key(scope)
    for route in ROUTES:
        path = re.sub(r"{\w+}", "x", route.path)
        method = "HEAD" if route.stream else route.method
        status = (await harness.raw(method, path, headers=key)).status
        reached = status not in (401, 403)
        assert reached is (scope in REACH[route.id].split()), (route.id, status)


async def test_a_key_that_may_read_changes_nothing(build: Any) -> None:
    harness = await build(api_key=API_KEY)
    key = await harness.key("read")
    job_id = (await harness.call("POST", "/api/jobs", {"type": "idle", "payload": {}}, status=201, headers=BEARER))[
        "jobId"
    ]
    for route in ROUTES:
        if route.method != "GET":
            path = re.sub(r"{\w+}", job_id, route.path)
            assert (await harness.raw(route.method, path, headers=key)).status == 403, route.id
    assert (await harness.call("GET", f"/api/jobs/{job_id}", headers=key))["status"] == "queued"


async def test_a_key_submits_its_own_types_alone(build: Any) -> None:
    harness = await build(api_key=API_KEY)
    key = await harness.key("read", "submit", types=["clip"])
    idle, clip = {"type": "idle", "payload": {}}, {"type": "clip", "payload": {"inputPath": "/a"}}
    await harness.call("POST", "/api/jobs", clip, status=201, headers=key)
    problem = await harness.call("POST", "/api/jobs", idle, status=403, headers=key)
    assert problem["detail"] == "this key is for clip alone, not idle"
    await harness.call("POST", "/api/jobs/batch", {"jobs": [clip, idle]}, status=403, headers=key)
    await harness.call("POST", "/api/videos/analyze", {"url": "https://x.example/v"}, status=403, headers=key)
    await harness.call("POST", "/analyze-from-url", {"video_url": "https://x.example/v"}, status=403, headers=key)
    assert (await harness.call("GET", "/api/jobs", headers=key))["total"] == 1


async def test_a_key_submits_its_own_types_alone_again(build: Any) -> None:
    harness = await build(api_key=API_KEY)
    key = await harness.key("read", "submit", types=["clip"])
    ask = {"type": "idle", "payload": {}}
    job_id = (await harness.call("POST", "/api/jobs", ask, status=201, headers=BEARER))["jobId"]
    await harness.call("DELETE", f"/api/jobs/{job_id}", headers=BEARER)
    await harness.call("POST", f"/api/jobs/{job_id}/retry", status=403, headers=key)
    for meant in ({"status": ["cancelled"]}, {"type": ["idle"]}, {"ids": [job_id]}):
        told = await harness.call("POST", "/api/jobs/retry", {"filter": meant}, headers=key)
        assert told["done"] in (0, []), told
    await harness.call("POST", f"/api/jobs/{job_id}/retry", headers=BEARER)
