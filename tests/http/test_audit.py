"""The audit trail: who changed what, from where."""

import asyncio
from typing import Any

from secondunit.daemon.access.key_text import prefix_of
from secondunit.daemon.formats import instant
from secondunit.queue.errors import StoreFull
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.outcome import Stopped
from tests.http.keys import API_KEY, BEARER

IDLE = {"type": "idle", "payload": {}}


async def told(harness: Any, **headers: str) -> list[tuple[str, str | None, str | None]]:
    """What was done, oldest first: action, target, detail."""
    entries = (await harness.call("GET", "/api/audit", headers=headers))["entries"]
    return [(entry["action"], entry["target"], entry["detail"]) for entry in reversed(entries)]


async def test_what_changed_something_is_told_and_nothing_else(build: Any) -> None:
    harness = await build()
    first, second = await harness.submit(), await harness.submit()
    await harness.call("GET", f"/api/jobs/{first}")
    await harness.call("DELETE", f"/api/jobs/{first}")
    gone = await harness.call("DELETE", f"/api/jobs/{first}", status=409)
    assert "cancelled" in gone["detail"]
    await harness.call("DELETE", "/api/jobs/job_nobodys", status=404)
    await harness.call("POST", f"/api/jobs/{first}/retry")
    await harness.call("POST", "/api/jobs/cancel", {"filter": {"ids": [first, second]}})
    await harness.call("POST", "/api/jobs/cancel", {"filter": {"status": ["running"]}})
    await harness.call("POST", "/api/jobs/retry", {"filter": {"type": ["idle"], "status": ["cancelled"]}})
    await harness.call("POST", "/api/types/idle/pause")
    await harness.call("POST", "/api/types/idle/resume")
    await harness.call("PATCH", "/api/types/idle", {"concurrency": 4})
    await harness.call("PATCH", "/api/types/idle", {"concurrency": None})
    await harness.refused("PATCH", "/api/types/idle", {"concurrency": 0})
    await harness.start(second)
    await harness.call("POST", "/api/admin/recover", {"ids": [second]})
    assert await told(harness) == [
        ("cancel", first, "idle"),
        ("retry", first, "idle"),
        ("bulk cancel", None, f"ids={first},{second}: 2 done, 0 refused"),
        ("bulk retry", None, "status=cancelled type=idle: 2 done, 0 refused"),
        ("pause", "idle", None),
        ("resume", "idle", None),
        ("limit", "idle", "4"),
        ("limit", "idle", "default"),
        ("recover", second, None),
    ]


async def test_an_entry_names_the_key_and_the_address(build: Any) -> None:
    harness = await build(api_key=API_KEY)
    operator = await harness.key("admin", name="operator")
    await harness.call("POST", "/api/types/idle/pause", headers=BEARER)
    await harness.clock.advance(60)
    await harness.call("POST", "/api/types/idle/pause", headers=operator)
    newest, oldest = (await harness.call("GET", "/api/audit", headers=operator))["entries"]
    assert newest == {
        "at": instant(harness.clock.now()),
        "key": "operator",
        "address": "127.0.0.1",
        "action": "pause",
        "target": "idle",
        "detail": f"by key {prefix_of(operator['Authorization'].removeprefix('Bearer '))}",
    }
    assert (oldest["key"], oldest["address"], oldest["detail"]) == ("API_KEY", "127.0.0.1", None)


async def test_an_entry_tells_two_keys_of_one_name_apart(build: Any) -> None:
    harness = await build(api_key=API_KEY)
    keys = [await harness.key("submit", "read", name="blog") for _ in range(2)]
    prefixes = [prefix_of(key["Authorization"].removeprefix("Bearer ")) for key in keys]
    for key in keys:
        made = (await harness.call("POST", "/api/jobs", IDLE, status=201, headers=key))["jobId"]
        await harness.call("DELETE", f"/api/jobs/{made}", headers=key)
        await harness.call("POST", "/api/jobs/retry", {"filter": {"ids": [made]}}, headers=key)
    assert [detail for _, _, detail in await told(harness, **BEARER) if detail and "ids" not in detail] == [
        f"idle; by key {prefix}" for prefix in prefixes
    ]
    assert (
        sum(f"1 done, 0 refused; by key {prefixes[1]}" in str(detail) for *_, detail in await told(harness, **BEARER))
        == 1
    )


async def test_what_is_cut_off_halfway_has_its_entry(build: Any) -> None:
    harness = await build()
    running, _ = await harness.submit(), await harness.submit()
    await harness.start(running)
    call = asyncio.create_task(harness.raw("POST", "/api/jobs/cancel", {"filter": {"type": ["idle"]}}))
    await harness.until(lambda: harness.readers)  # it waits for the processes of the one that runs
    assert await told(harness) == [("bulk cancel", None, "type=idle: begun")]
    call.cancel()
    alone = asyncio.create_task(harness.raw("DELETE", f"/api/jobs/{running}"))
    await harness.until(lambda: harness.readers == 2)
    assert (await told(harness))[1:] == [("cancel", running, "idle")]
    await harness.settle(running, Stopped())
    assert (await alone).status == 200
    await harness.until(lambda: not harness.readers)
    assert (await told(harness))[0] == ("bulk cancel", None, "type=idle: 2 done, 0 refused"), "its caller had left"


async def test_what_a_recovery_did_is_told_job_by_job(build: Any) -> None:
    harness = await build()
    ids = [await harness.submit() for _ in range(2)]
    for id in ids:
        await harness.start(id)
    plain = harness.store.audit.add

    async def full_after_one(entry: Any) -> Any:
        if await harness.store.audit.find(None, 1):
            raise StoreFull("full")
        return await plain(entry)

    harness.store.audit.add = full_after_one
    refused = await harness.call("POST", "/api/admin/recover", {"ids": ids}, status=507)
    assert "full" in refused["detail"]
    assert await told(harness) == [("recover", ids[0], None)]


async def test_the_control_socket_and_who_has_no_key_are_named_by_where_they_are(build: Any) -> None:
    for trusted, address in ((True, "control socket"), (False, "127.0.0.1")):
        harness = await build(trusted=trusted)
        await harness.call("POST", "/api/types/idle/pause")
        [entry] = (await harness.call("GET", "/api/audit"))["entries"]
        assert (entry["key"], entry["address"]) == (None, address)


async def test_keys_are_told_of_without_themselves(build: Any) -> None:
    harness = await build(api_key=API_KEY)
    ask = {"name": "blog", "scopes": ["submit"], "types": ["idle"], "rate": "60/minute"}
    made = await harness.call("POST", "/api/keys", ask, status=201, headers=BEARER)
    await harness.call("DELETE", f"/api/keys/{made['prefix']}", headers=BEARER)
    about = "blog: submit; types idle; 60/minute"
    assert await told(harness, **BEARER) == [
        ("keys add", made["prefix"], about),
        ("keys revoke", made["prefix"], about),
    ]


async def test_a_type_that_changes_more_than_files_has_its_submits_told(build: Any) -> None:
    from pydantic import BaseModel

    class Site(BaseModel):
        site: str = ""
        token: str = ""

    async def run(*_: Any) -> None:
        raise AssertionError("nothing runs here")

    harness = await build(specs=[HandlerSpec("ship", Site, run, audited=True, secrets=("token",))])
    ship = {"type": "ship", "payload": {}}
    one = await harness.submit("ship")
    two = (await harness.call("POST", "/api/jobs/batch", {"jobs": [IDLE, ship]}, status=201))["jobs"][1]["jobId"]
    asked = {"type": "ship", "payload": {"site": "https://me:hush@example.org/", "token": "hush"}}
    three = (await harness.call("POST", "/api/jobs", asked, status=201))["jobId"]
    about = '{"site": "https://***@example.org/", "token": "***"}'
    assert await told(harness) == [("ship", one, None), ("ship", two, None), ("ship", three, about)]


async def test_the_trail_is_read_page_by_page(build: Any) -> None:
    harness = await build()
    for _ in range(5):
        await harness.call("POST", "/api/types/idle/pause")
        await harness.call("POST", "/api/types/idle/resume")
    seen, cursor = [], ""
    while True:
        page = await harness.call("GET", f"/api/audit?limit=4{cursor}")
        seen += [entry["action"] for entry in page["entries"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == ["resume", "pause"] * 5
    faults = await harness.refused("GET", "/api/audit?limit=0")
    assert "limit" in faults
