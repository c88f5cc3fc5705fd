"""Every call that takes fields says what is wrong with one in the words of JSON, never in those of the validator."""

from typing import Any
from urllib.parse import urlencode

import pytest

from secondunit.daemon.http.routes import ROUTES
from secondunit.daemon.http.transport.route import ApiRoute
from tests.http.wrong_bodies import WRONG, bodies, check

# Backups are asked for at the control socket only; the harness takes no analyses, so their door is shut before that.
FREE = {"type", "jobId"}  # names of a query that take any word
ELSEWHERE = ("admin.backup", "analyze.from_url")


# Calls of leases look at the token first, and are tried in leases/test_bodies.py.
TAKING = [route for route in ROUTES if route.body and "{token}" not in route.path]


@pytest.mark.parametrize("route", TAKING, ids=lambda route: route.id)
async def test_a_wrong_body_is_refused_in_the_callers_words(harness: Any, route: ApiRoute) -> None:
    path, refused = route.path.replace("{id}", "job_x").replace("{type}", "idle"), 0
    for body in bodies(route):
        response = await harness.raw(route.method, path, json=body)
        if response.status == 422:
            refused += 1
            check(await response.json())
        assert response.status < 500 or response.status == 503
    taken_as_json = "application/json" in route.takes
    assert refused > len(WRONG) / 2 or not taken_as_json or route.id in ELSEWHERE


@pytest.mark.parametrize("route", [route for route in ROUTES if route.query], ids=lambda route: route.id)
async def test_a_wrong_query_is_refused_in_the_callers_words(harness: Any, route: ApiRoute) -> None:
    assert route.query is not None
    path = route.path.replace("{id}", "job_x").replace("{video_id}", "dQw4w9WgXcQ")
    names = [field.alias or name for name, field in route.query.model_fields.items()]
    queries: list[dict[str, Any]] = [{"unknown": "1"}, *({name: ["queued,wrong", "wrong"]} for name in names)]
    refused = set[str]()
    for query in queries:
        response = await harness.raw(route.method, f"{path}?{urlencode(query, doseq=True)}")
        if response.status == 422:
            refused.add(*query)
            check(await response.json())
        response.close()
    assert {"unknown", *names} - refused <= FREE or route.id == "batches.show", "of that there is none"


@pytest.mark.parametrize(
    ("payload", "field", "says"),
    [
        ({}, "payload.inputPath", "is required"),
        ({"inputPath": None}, "payload.inputPath", "should be a string, not null"),
        ({"inputPath": "a", "width": "1"}, "payload.width", "should be a whole number, not a string"),
        ({"inputPath": "a", "headers": {"a": 1}}, "payload.headers.a", "should be a string, not a number"),
    ],
)
async def test_a_payloads_field_is_told_in_the_same_words(
    harness: Any, payload: dict[str, Any], field: str, says: str
) -> None:
    body = {"type": "clip", "payload": payload}
    alone = await harness.call("POST", "/api/jobs", body, status=422)
    assert alone["errors"] == [{"field": field, "message": says}]
    batch = await harness.call("POST", "/api/jobs/batch", {"jobs": [body]}, status=422)
    assert batch["errors"] == [{"field": f"jobs.0.{field}", "message": says}]
