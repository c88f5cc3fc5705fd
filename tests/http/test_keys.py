import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from secondunit.daemon.access.key_text import KEY, digest_of
from secondunit.daemon.formats import instant
from tests.http.keys import API_KEY, BEARER


async def test_a_key_is_shown_once_and_works(build: Any) -> None:
    harness = await build(api_key=API_KEY)
    until = instant(harness.clock.now() + timedelta(days=90))
    ask = {"name": "work", "scopes": ["read", "submit"], "types": ["idle"], "expiresAt": until, "rate": "60/minute"}
    made = await harness.call("POST", "/api/keys", ask, status=201, headers=BEARER)
    assert KEY.fullmatch(made["key"]) and made["key"].startswith(f"su_{made['prefix']}_")
    assert {name: made[name] for name in ask} == ask
    [kept] = await harness.store.keys.all()
    assert kept.digest == digest_of(made["key"])
    listed = await harness.call("GET", "/api/keys", headers=BEARER)
    assert made["key"] not in json.dumps(listed) and made["key"][12:] not in json.dumps(listed)
    [row] = listed["keys"]
    assert row == {**{n: made[n] for n in row if n in made}, "lastUsedAt": None, "revokedAt": None}
    await harness.call("GET", "/api/jobs", headers={"X-API-Key": made["key"]})
    [row] = (await harness.call("GET", "/api/keys", headers=BEARER))["keys"]
    assert row["lastUsedAt"] == instant(harness.clock.now())


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " x"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "backend"}, "name"),
        ({"name": "schedule nightly"}, "name"),
        ({"name": "API_KEY"}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["root"]}, "scopes.0"),
        ({"types": []}, "types"),
        ({"types": ["nope"]}, "types.0"),
        ({"rate": "60"}, "rate"),
        ({"rate": "0/minute"}, "rate"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
        ({"expiresAt": "tomorrow"}, "expiresAt"),
        ({"key": "mine"}, "key"),
    ],
)
async def test_a_key_that_makes_no_sense_is_refused_by_field(build: Any, wrong: Mapping[str, Any], field: str) -> None:
    harness = await build()
    assert field in await harness.refused("POST", "/api/keys", {"name": "x", "scopes": ["read"], **wrong})
    assert await harness.store.keys.all() == []


async def test_a_revoked_key_is_none_from_the_next_request_on(build: Any) -> None:
    harness = await build(api_key=API_KEY)
    key, other = await harness.key("read", name="a"), await harness.key("read", name="b")
    [first, _] = (await harness.call("GET", "/api/keys", headers=BEARER))["keys"]
    await harness.call("GET", "/api/jobs", headers=key)
    gone = await harness.call("DELETE", f"/api/keys/{first['prefix']}", headers=BEARER)
    assert gone["revokedAt"] == instant(harness.clock.now()) and gone["name"] == first["name"]
    await harness.call("GET", "/api/jobs", status=401, headers=key if first["name"] == "a" else other)
    await harness.call("GET", "/api/jobs", headers=other if first["name"] == "a" else key)
    await harness.call("DELETE", f"/api/keys/{first['prefix']}", headers=BEARER)
    await harness.call("DELETE", "/api/keys/nobodys2", status=404, headers=BEARER)


async def test_the_last_key_that_is_revoked_opens_nothing(build: Any) -> None:
    harness = await build()
    await harness.call("GET", "/api/jobs")
    key = await harness.key("admin")
    await harness.call("GET", "/api/jobs", status=401)
    [row] = (await harness.call("GET", "/api/keys", headers=key))["keys"]
    await harness.call("DELETE", f"/api/keys/{row['prefix']}", headers=key)
    await harness.call("GET", "/api/jobs", status=401)
    await harness.call("GET", "/api/jobs", status=401, headers=key)
    await harness.keys.load()
    await harness.call("GET", "/api/jobs", status=401)


async def test_a_key_ends_at_its_time(build: Any) -> None:
    harness = await build(api_key=API_KEY)
    key = await harness.key("read", expires_at=harness.clock.now() + timedelta(hours=1))
    await harness.clock.advance(3599)
    await harness.call("GET", "/api/jobs", headers=key)
    await harness.clock.advance(1)
    await harness.call("GET", "/api/jobs", status=401, headers=key)
    await harness.keys.load()
    await harness.call("GET", "/api/jobs", status=401, headers=key)


async def test_what_is_nearly_a_key_is_none(build: Any) -> None:
    harness = await build(api_key=API_KEY)
    key = (await harness.key("read"))["Authorization"].removeprefix("Bearer ")
    another = (await harness.key("read"))["Authorization"].removeprefix("Bearer ")
    for wrong in (key[:-1], key + "x", key[:12] + another[12:], key[:12] + "_" * 43, key[3:], key[:11], key.upper()):
        await harness.call("GET", "/api/jobs", status=401, headers={"X-API-Key": wrong})


async def test_open_streams_of_a_key_end_as_it_does(build: Any) -> None:
    harness = await build(api_key=API_KEY)
    key, other = await harness.key("read", name="a"), await harness.key("read", name="b")
    prefix = key["Authorization"].removeprefix("Bearer su_")[:8]
    async with harness.listen("/api/events", **other) as stays, harness.listen("/api/events", **key) as goes:
        await goes.block(), await stays.block()
        await harness.call("DELETE", f"/api/keys/{prefix}", headers=BEARER)
        await harness.until(lambda: harness.readers == 1)
        job_id = (await harness.call("POST", "/api/jobs", {"type": "idle", "payload": {}}, status=201, headers=BEARER))[
            "jobId"
        ]
        assert (await stays.next()).data["jobId"] == job_id
        goes.response.close()


async def test_streams_without_a_key_end_as_the_first_one_is_made(build: Any) -> None:
    harness = await build()
    async with harness.listen("/api/events") as goes:
        await goes.block()
        await harness.key("read")
        await harness.until(lambda: harness.readers == 0)
        goes.response.close()


async def test_a_stream_that_opens_while_its_key_ends_is_cut_too(build: Any) -> None:
    harness = await build(api_key=API_KEY)
    key = await harness.key("read")
    for listener in harness.keys._listeners:  # it ends between the door and the stream
        listener(key["Authorization"].removeprefix("Bearer su_")[:8])
    async with asyncio.timeout(30):
        with suppress(aiohttp.ClientError):
            async with harness.client.get("/api/events", headers=key) as response:
                await response.content.read()
    await harness.until(lambda: harness.readers == 0)


async def test_a_key_over_its_own_rate_is_told_when_to_come_back(build: Any) -> None:
    harness = await build(api_key=API_KEY, rate_limit=None)
    slow, usual = await harness.key("read", rate="2/minute"), await harness.key("read")
    for _ in range(2):
        await harness.call("GET", "/api/jobs", headers=slow)
    response = await harness.raw("GET", "/api/jobs", headers=slow)
    assert (response.status, response.headers["Retry-After"]) == (429, "30")
    for _ in range(5):
        await harness.call("GET", "/api/jobs", headers=usual)


async def test_a_batch_costs_its_jobs_of_its_keys_own_rate_and_looking_costs_none(build: Any) -> None:
    harness = await build(api_key=API_KEY, rate_limit="600/minute")
    slow, usual = await harness.key("submit", rate="10/minute"), await harness.key("submit")
    idle = {"type": "idle", "payload": {}}
    for key in (slow, usual):
        await harness.call("POST", "/api/jobs/batch", {"jobs": [idle] * 20}, status=201, headers=key)
    for path, body in (("/api/jobs", idle), ("/api/jobs/batch", {"jobs": [idle]})):
        response = await harness.raw("POST", path, body, headers=slow)
        assert (response.status, response.headers["Retry-After"]) == (429, "66"), "10 and one more are owed"
        await harness.call("POST", path, body, status=201, headers=usual)
    assert (await harness.call("GET", "/api/jobs", headers=slow))["total"] == 20, "its calls have a budget of their own"
    await harness.clock.advance(66)
    await harness.call("POST", "/api/jobs", idle, status=201, headers=slow)
    await harness.call("POST", "/api/jobs", idle, status=429, headers=slow)


async def test_a_job_says_who_submitted_it(build: Any) -> None:
    harness = await build()
    first = await harness.submit()
    assert (await harness.call("GET", f"/api/jobs/{first}"))["submittedBy"] is None
    key = await harness.key("read", "submit", name="Uploads of the blog")
    ask = {"type": "idle", "payload": {}}
    second = (await harness.call("POST", "/api/jobs", ask, status=201, headers=key))["jobId"]
    assert (await harness.call("GET", f"/api/jobs/{second}", headers=key))["submittedBy"] == "Uploads of the blog"


async def test_the_last_use_is_stored_now_and_then(build: Any) -> None:
    harness = await build(api_key=API_KEY)
    key = await harness.key("read")
    await harness.call("GET", "/api/jobs", headers=key)
    [kept] = await harness.store.keys.all()
    assert kept.last_used_at is None, "not a write for each request"
    used = harness.clock.now()
    await harness.clock.advance(100)
    await harness.keys.note()
    [kept] = await harness.store.keys.all()
    assert kept.last_used_at == used
