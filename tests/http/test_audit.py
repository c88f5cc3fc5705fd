"""The audit trail: who changed what, from where."""

from typing import Any

from secondunit.daemon.formats import instant
from secondunit.queue.handler import HandlerSpec

IDLE = {"type": "idle", "payload": {}}
SETTING = "the-key-of-the-settings"
BEARER = {"Authorization": f"Bearer {SETTING}"}


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
    harness = await build(api_key=SETTING)
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
        "detail": None,
    }
    assert (oldest["key"], oldest["address"]) == ("API_KEY", "127.0.0.1")


async def test_the_control_socket_and_who_has_no_key_are_named_by_where_they_are(build: Any) -> None:
    for trusted, address in ((True, "control socket"), (False, "127.0.0.1")):
        harness = await build(trusted=trusted)
        await harness.call("POST", "/api/types/idle/pause")
        [entry] = (await harness.call("GET", "/api/audit"))["entries"]
        assert (entry["key"], entry["address"]) == (None, address)


async def test_keys_are_told_of_without_themselves(build: Any) -> None:
    harness = await build(api_key=SETTING)
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

    class Nothing(BaseModel):
        pass

    async def run(*_: Any) -> None:
        raise AssertionError("nothing runs here")

    harness = await build(specs=[HandlerSpec("ship", Nothing, run, audited=True)])
    ship = {"type": "ship", "payload": {}}
    one = await harness.submit("ship")
    two = (await harness.call("POST", "/api/jobs/batch", {"jobs": [IDLE, ship]}, status=201))["jobs"][1]["jobId"]
    assert await told(harness) == [("ship", one, None), ("ship", two, None)]


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
