"""Keys of workers: whose lease it is, which types it may have, how many calls may wait."""

import asyncio

from secondunit.queue.model import Status
from tests.http.harness import TTL, ApiHarness
from tests.http.leases.scene import every_write_is_refused, lost, one, take


async def test_a_token_is_good_under_its_own_key_only(harness: ApiHarness) -> None:
    ours, theirs = await harness.key("work", name="a"), await harness.key("work", name="b")
    submitter = await harness.key("submit")
    answer = await harness.call(
        "POST", "/api/jobs", {"type": "ocr", "payload": {"page": 1}}, status=201, headers=submitter
    )
    [lease] = await take(harness, headers=ours)
    path = f"/api/leases/{lease['token']}"
    await every_write_is_refused(harness, path, theirs)
    done = await harness.call("POST", f"{path}/complete", {"result": 1}, headers=ours)
    assert done == {"jobId": answer["jobId"], "status": "completed"}
    await lost(harness, "POST", f"{path}/complete", {"result": 1}, theirs)


async def test_a_token_that_is_of_no_lease_of_this_key_is_told_as_such(harness: ApiHarness) -> None:
    _, path = await one(harness)
    for made_up in (path[:-1], f"{path}x", "/api/leases/made.up"):
        problem = await harness.call("PUT", made_up, {"progress": 1}, status=409)
        assert problem["type"].endswith("lease_lost")
        assert problem["detail"] == (
            "this token is of no lease that this key has here: made up, cut short, or another key's; lease again"
        )


async def test_a_key_leases_its_types_alone_and_nothing_without_the_scope(harness: ApiHarness) -> None:
    for_asr = await harness.key("work", types=["asr"])
    body = {"types": ["ocr"], "worker": "w"}
    problem = await harness.call("POST", "/api/leases", body, status=403, headers=for_asr)
    assert problem["detail"] == "this key is for asr alone, not ocr"
    await harness.call("POST", "/api/leases", {"types": ["asr"], "worker": "w"}, headers=for_asr)
    for scope in ("read", "submit", "admin"):
        await harness.call("POST", "/api/leases", body, status=403, headers=await harness.key(scope))
    await harness.call("GET", "/api/jobs", status=403, headers=for_asr)


async def test_a_key_that_is_revoked_waits_for_nothing_and_writes_nothing(harness: ApiHarness) -> None:
    key, reader = await harness.key("work"), await harness.key("submit")
    await harness.call("POST", "/api/jobs", {"type": "ocr", "payload": {"page": 1}}, status=201, headers=reader)
    [lease] = await take(harness, headers=key)
    waiting = asyncio.create_task(take(harness, "ocr", headers=key, waitSeconds=60))
    await harness.until(lambda: len(harness.leasing.room))

    await harness.keys.revoke(key["Authorization"].split("_")[1])

    assert await waiting == []
    await harness.call("PUT", f"/api/leases/{lease['token']}", {}, status=401, headers=key)
    await harness.clock.advance(TTL.total_seconds() + 1)
    assert (await harness.store.get(lease["jobId"])).status is Status.QUEUED


async def test_so_many_calls_of_one_key_may_wait(harness: ApiHarness) -> None:
    harness.leasing.room.most_of_key = 2
    calls = [asyncio.create_task(take(harness, worker=f"w{n}", waitSeconds=60)) for n in range(2)]
    await harness.until(lambda: len(harness.leasing.room) == 2)
    await harness.call("POST", "/api/leases", {"types": ["ocr"], "worker": "w"}, status=429)
    await harness.clock.advance(60)
    assert [await call for call in calls] == [[], []]
    assert await take(harness) == []
