"""Keys that may submit and not read: each knows of its own jobs, and of nobody else's."""

import asyncio
import json
from typing import Any

import pytest

from tests.http.keys import API_KEY, BEARER

IDLE = {"type": "idle", "payload": {}}


class Tenants:
    """Two tenants of one daemon, and one who sees all."""

    def __init__(self, harness: Any, a: dict[str, str], b: dict[str, str], reader: dict[str, str]) -> None:
        self.harness, self.a, self.b, self.reader = harness, a, b, reader

    async def submit(self, key: dict[str, str], **headers: str) -> str:
        """A job of this one's; its id."""
        answer = await self.harness.call("POST", "/api/jobs", IDLE, status=201, headers=key | headers)
        return str(answer["jobId"])


async def opening_id(harness: Any, key: dict[str, str]) -> str:
    """The id that a new reader is given before any message, at a moment of its own."""
    await harness.clock.advance(0.001)
    async with harness.client.get("/api/events", headers=key) as response:
        while not (line := (await response.content.readline()).decode()).startswith("id: "):
            pass
    return str(line.removeprefix("id: ").strip())


@pytest.fixture
async def tenants(build: Any) -> Tenants:
    """They, without any job."""
    harness = await build(api_key=API_KEY, rate_limit=None)
    one, two = await harness.key("submit", name="a"), await harness.key("submit", name="b")
    return Tenants(harness, one, two, await harness.key("read", "submit", name="r"))


async def test_anothers_job_is_not_there(tenants: Tenants) -> None:
    harness, job_id = tenants.harness, await tenants.submit(tenants.a)
    calls = [
        ("GET", f"/api/jobs/{job_id}"),
        ("DELETE", f"/api/jobs/{job_id}"),
        ("POST", f"/api/jobs/{job_id}/retry"),
        ("GET", f"/api/jobs/{job_id}/deliveries"),
        ("GET", f"/api/jobs/{job_id}/artifacts"),
        ("GET", f"/api/jobs/{job_id}/explain"),
        ("GET", f"/api/jobs/{job_id}/artifacts/log.txt"),
        ("GET", f"/api/jobs/{job_id}/stream"),
    ]
    for method, path in calls:
        told = await harness.call(method, path, status=404, headers=tenants.b)
        nobodys = await harness.call(method, path.replace(job_id, "job_x"), status=404, headers=tenants.b)
        assert told == json.loads(json.dumps(nobodys).replace("job_x", job_id)), "as if there were none"
    assert (await harness.call("GET", f"/api/jobs/{job_id}", headers=tenants.a))["status"] == "queued"
    assert (await harness.call("GET", f"/api/jobs/{job_id}", headers=tenants.reader))["submittedBy"] == "a"


async def test_a_tenant_moves_its_own(tenants: Tenants) -> None:
    harness, job_id = tenants.harness, await tenants.submit(tenants.a)
    await harness.call("DELETE", f"/api/jobs/{job_id}", headers=tenants.a)
    await harness.call("POST", f"/api/jobs/{job_id}/retry", headers=tenants.a)
    assert (await harness.call("GET", f"/api/jobs/{job_id}", headers=tenants.a))["status"] == "queued"
    await harness.call("DELETE", f"/api/jobs/{job_id}", headers=tenants.reader)


async def test_a_list_holds_and_counts_ones_own(tenants: Tenants) -> None:
    harness = tenants.harness
    own = [await tenants.submit(tenants.a) for _ in range(3)]
    others = [await tenants.submit(key) for key in (tenants.b, tenants.b, tenants.reader, BEARER)]
    await harness.start(own[0])
    page = await harness.call("GET", "/api/jobs?limit=2", headers=tenants.a)
    assert ([job["jobId"] for job in page["jobs"]], page["total"]) == (own[:0:-1], 3)
    assert (page["queued"], page["running"]) == (2, 1)
    rest = await harness.call("GET", f"/api/jobs?limit=2&cursor={page['nextCursor']}", headers=tenants.a)
    assert ([job["jobId"] for job in rest["jobs"]], rest["nextCursor"]) == (own[:1], None)
    assert (await harness.call("GET", "/api/jobs", headers=tenants.reader))["total"] == len(own) + len(others)


async def test_a_bulk_move_reaches_ones_own(tenants: Tenants) -> None:
    harness = tenants.harness
    own, other = await tenants.submit(tenants.a), await tenants.submit(tenants.b)
    by_id = {"filter": {"ids": [own, other]}}
    assert await harness.call("POST", "/api/jobs/cancel", by_id, headers=tenants.a) == {"done": 1, "refused": []}
    assert await harness.call("POST", "/api/jobs/retry", by_id, headers=tenants.a) == {"done": 1, "refused": []}
    all_queued = {"filter": {"status": ["queued"]}}
    assert await harness.call("POST", "/api/jobs/cancel", all_queued, headers=tenants.a) == {"done": 1, "refused": []}
    assert (await harness.call("GET", f"/api/jobs/{other}", headers=tenants.b))["status"] == "queued"


async def test_an_idempotency_key_is_ones_own(tenants: Tenants) -> None:
    harness, named = tenants.harness, {"Idempotency-Key": "1"}
    first = await tenants.submit(tenants.a, **named)
    second = await tenants.submit(tenants.b, **named)
    assert first != second
    for key, job_id in ((tenants.a, first), (tenants.b, second)):
        again = await harness.call("POST", "/api/jobs", IDLE, headers=key | named)
        assert again["jobId"] == job_id
    other = {"type": "idle", "payload": {}, "priority": 0}
    problem = await harness.call("POST", "/api/jobs", other, status=409, headers=tenants.b | named)
    assert second in problem["detail"] and first not in problem["detail"]
    batch = {"jobs": [IDLE, IDLE]}
    one = await harness.call("POST", "/api/jobs/batch", batch, status=201, headers=tenants.a | named)
    two = await harness.call("POST", "/api/jobs/batch", batch, status=201, headers=tenants.b | named)
    assert {job["jobId"] for job in one["jobs"]}.isdisjoint(job["jobId"] for job in two["jobs"])


async def test_a_tenant_hears_of_its_own_jobs(tenants: Tenants) -> None:
    harness = tenants.harness
    async with harness.listen("/api/events", **tenants.a) as reader:
        other, own = await tenants.submit(tenants.b), await tenants.submit(tenants.a)
        first = await reader.next()
        assert first.data["jobId"] == own
        await harness.settle(other)
        await harness.settle(own)
        assert [(await reader.next()).data["jobId"] for _ in range(2)] == [own, own]
    more = await tenants.submit(tenants.a)
    async with harness.listen("/api/events", Last_Event_ID=first.id, **tenants.a) as reader:
        assert [message.data["jobId"] for message in await reader.take(3)] == [own, own, more]
    async with harness.listen("/api/events?lastEventId=g0-1", **tenants.a) as reader:
        assert {job["jobId"] for job in (await reader.next()).data["jobs"]} == {own, more}
    async with harness.listen(f"/api/events?jobId={other},{more}&lastEventId={first.id}", **tenants.a) as reader:
        assert (await reader.next()).data["jobId"] == more


async def test_no_number_that_a_tenant_is_told_counts_what_others_do(tenants: Tenants) -> None:
    harness = tenants.harness
    own = [await tenants.submit(tenants.a) for _ in range(3)]
    ids = [await opening_id(harness, tenants.a) for _ in range(2)]
    await tenants.submit(tenants.b)
    ids += [await opening_id(harness, tenants.a) for _ in range(2)]
    page = await harness.call("GET", "/api/jobs?limit=2", headers=tenants.a)
    async with harness.listen(f"/api/events?lastEventId={ids[0]}", **tenants.a) as reader:
        more = await tenants.submit(tenants.a)
        message = await reader.next()
        assert message.data["jobId"] == more
    numbers = [int(id.partition("-")[2]) for id in (*ids, message.id)] + [int(page["nextCursor"])]
    assert len({*numbers}) == len(numbers) and min(numbers) > 2**63
    rest = await harness.call("GET", f"/api/jobs?limit=2&cursor={page['nextCursor']}", headers=tenants.a)
    assert [job["jobId"] for job in rest["jobs"]] == own[:1]
    async with harness.listen("/api/events", **tenants.reader) as reader:
        await tenants.submit(tenants.b)
        assert int((await reader.next()).id.partition("-")[2]) < 10


async def test_a_message_has_one_id_however_often_it_comes(tenants: Tenants) -> None:
    start = await opening_id(tenants.harness, tenants.a)
    await tenants.submit(tenants.a)
    ids = []
    for _ in range(2):
        async with tenants.harness.listen("/api/events", Last_Event_ID=start, **tenants.a) as reader:
            ids.append((await reader.next()).id)
    assert ids[0] == ids[1]
    async with tenants.harness.listen("/api/events", Last_Event_ID=ids[0], **tenants.a) as reader:
        more = await tenants.submit(tenants.a)
        assert (await reader.next()).data["jobId"] == more


async def test_who_sees_all_and_a_tenant_are_told_of_one_event_under_ids_of_their_own(tenants: Tenants) -> None:
    harness = tenants.harness
    async with (
        harness.listen("/api/events", **tenants.reader) as all_seeing,
        harness.listen("/api/events", **tenants.a) as tenant,
    ):
        await tenants.submit(tenants.a)
        told = [await reader.next() for reader in (all_seeing, tenant)]
    assert told[0].data == told[1].data and told[0].id != told[1].id
    assert told[0].id.endswith("-1")


async def test_what_another_was_told_of_a_place_means_nothing(tenants: Tenants) -> None:
    harness = tenants.harness
    for _ in range(2):
        await tenants.submit(tenants.a)
    cursor = (await harness.call("GET", "/api/jobs?limit=1", headers=tenants.a))["nextCursor"]
    for key, place in ((tenants.b, cursor), (tenants.reader, cursor), (tenants.a, "1")):
        refused = await harness.call("GET", f"/api/jobs?cursor={place}", status=422, headers=key)
        assert [fault["field"] for fault in refused["errors"]] == ["cursor"]
    last = await opening_id(harness, tenants.a)
    async with harness.listen("/api/events", Last_Event_ID=last, **tenants.b) as reader:
        assert (await reader.next()).data["type"] == "reset"


async def test_health_tells_a_tenant_no_more_than_a_stranger(tenants: Tenants) -> None:
    assert await tenants.harness.call("GET", "/health", headers=tenants.a) == {"status": "ok"}
    assert "reasons" in await tenants.harness.call("GET", "/health", headers=tenants.reader)


async def test_a_key_fills_its_share_of_the_queue_and_not_anothers(build: Any) -> None:
    harness = await build(api_key=API_KEY, max_queued_of_one=3)
    one, two = await harness.key("submit", name="one"), await harness.key("submit", "read", name="two")
    named = one | {"Idempotency-Key": "first"}
    first = (await harness.call("POST", "/api/jobs", IDLE, status=201, headers=named))["jobId"]
    await harness.call("POST", "/api/jobs", IDLE, status=201, headers=one)
    full = await harness.raw("POST", "/api/jobs/batch", {"jobs": [IDLE, IDLE]}, headers=one)
    assert (full.status, full.headers["Retry-After"]) == (503, "30")
    assert "MAX_QUEUED_PER_KEY is 3" in (await full.json())["detail"]
    await harness.call("POST", "/api/jobs", IDLE, status=201, headers=one)
    over = await harness.call("POST", "/api/jobs", IDLE, status=503, headers=one)
    assert over["detail"].startswith("3 jobs of this key are queued")
    assert (await harness.call("POST", "/api/jobs", IDLE, headers=named))["jobId"] == first, "it is there already"
    for key in (two, BEARER):
        await harness.call("POST", "/api/jobs/batch", {"jobs": [IDLE] * 3}, status=201, headers=key)
    await harness.call("POST", "/api/jobs/batch", {"jobs": [IDLE] * 3}, status=201, headers=BEARER)
    await harness.start(first)
    await harness.call("POST", "/api/jobs", IDLE, status=201, headers=one)


async def test_a_key_that_posts_many_at_once_gets_no_more_than_its_share(build: Any) -> None:
    harness = await build(api_key=API_KEY, max_queued_of_one=5)
    key = await harness.key("submit", name="one")
    answers = await asyncio.gather(*(harness.raw("POST", "/api/jobs", IDLE, headers=key) for _ in range(30)))
    assert sorted(answer.status for answer in answers) == [201] * 5 + [503] * 25
    assert (await harness.call("GET", "/api/jobs", headers=key))["total"] == 5


async def test_a_retry_needs_room_in_the_keys_share(build: Any) -> None:
    harness = await build(api_key=API_KEY, max_queued_of_one=2)
    key = await harness.key("submit", name="one")
    made = [(await harness.call("POST", "/api/jobs", IDLE, status=201, headers=key))["jobId"] for _ in range(2)]
    for id in made:
        await harness.settle(id)
    await harness.call("POST", "/api/jobs", IDLE, status=201, headers=key)
    moved = await harness.call("POST", "/api/jobs/retry", {"filter": {"ids": made}}, headers=key)
    assert moved["done"] == 1
    [refused] = moved["refused"]
    assert "MAX_QUEUED_PER_KEY is 2" in refused["message"]
    full = await harness.raw("POST", f"/api/jobs/{refused['jobId']}/retry", headers=key)
    assert (full.status, full.headers["Retry-After"]) == (503, "30")
    assert (await full.json())["type"] == "urn:secondunit:problem:saturated"
    assert (await harness.call("GET", f"/api/jobs/{refused['jobId']}", headers=key))["status"] == "completed"
