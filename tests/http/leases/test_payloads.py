"""Payloads of leased jobs, and what no worker may ask or tell."""

import io
import json
from typing import Any

import pytest

from secondunit.queue.model import Status
from tests.http.harness import ApiHarness
from tests.http.leases.scene import lost, one, take


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
    for name in ("n" * 1001, "a%0Ab", "%00", "a%09", "%C2%85", "%0D%0A"):
        assert list(await harness.refused("PUT", f"{path}/steps/{name}", {"result": 1})) == ["name"]
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
