"""Live parts: pushed when they change, made once for all who look at the same."""

import asyncio
import re
from contextlib import AsyncExitStack
from typing import Any

import pytest

from secondunit.daemon.dashboard.live import BEAT, LiveView, LiveViews, Parts, feed, message
from secondunit.testing.clock import ManualClock


async def parts_of(reader: Any) -> dict[str, str]:
    """The next message, as what takes the place of which."""
    lines: list[str] = []
    while line := (await reader.response.content.readline()).decode():
        if line == "\n" and lines:
            return dict(re.findall(r'hx-target="#(\w+)"[^>]*>(.*?)</hx-partial>', "\n".join(lines), re.DOTALL))
        if line.startswith("data: "):
            lines.append(line[6:-1])
    raise EOFError


async def test_every_live_part_of_every_page_is_pushed_into_an_element_of_it(visit: Any) -> None:
    browser = await visit()
    job_id = await browser.harness.submit()
    batch = await browser.harness.call(
        "POST", "/api/jobs/batch", {"jobs": [{"type": "idle", "payload": {}}]}, status=201
    )
    for page in browser.harness.front.pages:
        path = page.path.replace("{id}", job_id).replace("{batch}", batch["batchId"])
        if page.scope is None or page.path in ("/jobs/confirm", "/submit", "/system/checks"):
            continue
        document = await browser.open(path)
        [stream] = [tag.attributes["hx-sse:connect"] for tag in document.tags if "hx-sse:connect" in tag.attributes]
        async with browser.harness.listen(stream) as reader:
            reading = asyncio.create_task(parts_of(reader))
            while not reading.done():  # a page that is read in a thread takes more than one turn
                await browser.harness.clock.advance(10)
                await asyncio.wait({reading}, timeout=0.01)
            parts = await reading
        ids = {tag.attributes["id"] for tag in document.tags if tag.attributes.get("id", "").startswith("live_")}
        assert parts.keys() == ids, path


async def test_what_changed_is_pushed_and_nothing_else(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    async with harness.listen("/live?of=/types") as reader:
        await parts_of(reader)
        await harness.submit("idle")
        await harness.clock.advance(1)
        parts = await parts_of(reader)
        assert parts.keys() == {"live_types"} and ">1</a>" in parts["live_types"]


async def test_a_list_that_is_searched_is_pushed_as_it_is_searched(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    async with harness.listen("/live?of=/jobs%3Fq%3Dtype:idle") as reader:
        assert "job_" not in (await parts_of(reader))["live_rows"]
        await harness.submit("clip", {"inputPath": "/a"})
        job_id = await harness.submit("idle")
        await harness.clock.advance(1)
        parts = await parts_of(reader)
        assert re.findall(r'id="(job_\w+)"', parts["live_rows"]) == [f"job_{job_id}"]


async def test_a_page_that_is_none_or_is_not_for_the_key_is_not_pushed(visit: Any) -> None:
    browser = await visit(api_key="k")
    for of, key, status in (
        ("/nowhere", "read", 404),
        ("", "read", 404),
        ("/", "submit", 403),
        ("/types", "submit", 403),
    ):
        headers = await browser.harness.key(key)
        answer = await browser.harness.raw("GET", f"/live?of={of}", headers=headers)
        assert answer.status == status, of


async def test_what_is_not_there_or_is_anothers_is_refused_and_not_waited_for(visit: Any) -> None:
    browser = await visit(api_key="k")
    harness, own = browser.harness, {"X-API-Key": "k"}
    asked = {"jobs": [{"type": "idle", "payload": {}}]}
    batch = await harness.call("POST", "/api/jobs/batch", asked, status=201, headers=own)
    nothing = ("/jobs/job_" + "a" * 26, "/batches/batch_" + "a" * 26)
    for of in (*nothing, f"/jobs/{batch['jobs'][0]['jobId']}", f"/batches/{batch['batchId']}"):
        answer = await harness.raw("GET", f"/live?of={of}", headers=await harness.key("submit"))
        assert answer.status == 404, of
    for of in nothing:
        assert (await harness.raw("GET", f"/live?of={of}", headers=own)).status == 404, of


async def test_many_who_look_at_the_same_cost_one_rendering(visit: Any) -> None:
    harness = (await visit()).harness
    made = 0

    async def make() -> dict[str, str]:
        nonlocal made
        made += 1
        return {"live_a": str(made)}

    views = LiveViews(harness.clock)
    running = asyncio.create_task(views.run())
    async with AsyncExitStack() as stack:
        seen = [stack.enter_context(views.watched("a", make)) for _ in range(200)]
        assert await asyncio.gather(*(view.first() for view in seen)) == [(1, message({"live_a": "1"}))] * 200
        for _ in range(10):
            views.hear()
            await asyncio.sleep(0)
        assert made == 1, "a second is not over"
        await harness.clock.advance(1)
        assert [await view.next(1) for view in seen] == [(2, message({"live_a": "2"}))] * 200
    assert made == 2
    running.cancel()


async def test_who_begins_to_look_is_sent_nothing_older_than_the_page(visit: Any) -> None:
    harness = (await visit()).harness
    states = iter(["waits", "is gone"])

    async def make() -> dict[str, str]:
        return {"live_a": next(states, "is gone")}

    views = LiveViews(harness.clock)
    running = asyncio.create_task(views.run())
    with views.watched("a", make) as view:
        assert await view.first() == (1, message({"live_a": "waits"}))
        with views.watched("a", make) as again:
            later = asyncio.ensure_future(again.first())
            await asyncio.sleep(0)
            assert not later.done()
            await harness.clock.advance(1)
            assert await later == (2, message({"live_a": "is gone"}))
            with views.watched("a", make) as once_more:
                later = asyncio.ensure_future(once_more.first())
                await asyncio.sleep(0)
                await harness.clock.advance(1)
                assert await later == (2, message({"live_a": "is gone"})), "whether it changed or not"
    running.cancel()


async def test_rendering_takes_a_tenth_of_the_time_at_most() -> None:
    clock = ManualClock()
    made = 0

    async def make() -> dict[str, str]:
        nonlocal made
        made += 1
        await clock.sleep(3)
        return {"live_a": str(made)}

    views = LiveViews(clock)
    running = asyncio.create_task(views.run())
    with views.watched("a", make) as view:
        first = asyncio.ensure_future(view.first())
        await asyncio.sleep(0)
        await clock.advance(3)
        await first
        views.hear()
        await clock.advance(29)
        assert made == 1
        await clock.advance(1)
        assert made == 2
    running.cancel()


async def test_a_fault_in_one_view_is_told_to_who_looks_at_it_and_to_nobody_else() -> None:
    clock = ManualClock()

    async def broken() -> dict[str, str]:
        raise ZeroDivisionError("planted")

    async def whole() -> dict[str, str]:
        return {"live_a": "fine"}

    views = LiveViews(clock)
    running = asyncio.create_task(views.run())
    with views.watched("broken", broken) as one, views.watched("whole", whole) as other:
        with pytest.raises(ZeroDivisionError, match="planted"):
            await one.first()
        assert await other.next(0) == (1, message({"live_a": "fine"}))
    running.cancel()


def test_a_message_holds_any_text_whole() -> None:
    assert message({"live_a": "a\n\nb\rc"}) == (
        b'data: <hx-partial hx-target="#live_a" hx-swap="innerMorph">a\ndata: \ndata: b\ndata: c</hx-partial>\n\n'
    )


async def test_what_is_pushed_to_one_key_is_not_pushed_to_another(visit: Any) -> None:
    harness = (await visit(api_key="k")).harness
    keys = [await harness.key("submit", name=name) for name in ("one", "other")]
    ask = {"type": "idle", "payload": {}}
    own = [(await harness.call("POST", "/api/jobs", ask, status=201, headers=key))["jobId"] for key in keys]
    async with harness.listen("/live?of=/jobs", **keys[0]) as one, harness.listen("/live?of=/jobs", **keys[1]) as other:
        await harness.clock.advance(10)
        seen = [(await parts_of(reader))["live_rows"] for reader in (one, other)]
    assert [re.findall(r'id="job_(\w+)"', rows) for rows in seen] == [[job_id] for job_id in own]


async def test_a_page_of_which_nothing_changes_is_told_that_the_daemon_is_there() -> None:
    sent: list[bytes] = []
    beaten = asyncio.Event()

    async def send(content: bytes) -> None:
        sent.append(content)
        if sent[-2:] == [BEAT, BEAT]:
            beaten.set()

    made = iter("12")

    async def make() -> Parts:
        return {"live_rows": next(made)}

    view = LiveView(make)
    feeding = asyncio.create_task(feed(view, send, beat_every=0.01))
    await asyncio.sleep(0)
    await view.refresh()
    await beaten.wait()
    await view.refresh()
    while sent[-1] == BEAT:
        await asyncio.sleep(0)
    feeding.cancel()
    first, *beats, last = sent
    assert (first, last) == (message({"live_rows": "1"}), message({"live_rows": "2"}))
    assert set(beats) == {BEAT}
