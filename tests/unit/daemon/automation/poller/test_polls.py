import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
import structlog
from aiohttp import ClientTimeout, web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from secondunit.daemon.automation.backend import KIND, REFUSED_PAUSE, Backend
from secondunit.daemon.automation.takeover_terms import LONGEST_BACKOFF
from secondunit.daemon.delivery.dispatcher import DeliveryTried
from secondunit.daemon.wiring.backend import operators_session
from secondunit.queue.value import replace
from secondunit.testing.clock import ManualClock
from tests.unit.daemon.automation.poller.scene import EVERY, LIMIT, Answer, Box, Online, _asleep, opened, row, rows


async def test_what_the_backend_lists_is_taken_on_with_its_key_and_the_poll_s_limit(box: Box) -> None:
    box.online.rows = rows("a", "b")
    assert await box.poller.poll() == EVERY
    jobs = await box.jobs()
    assert {id: job.payload for id, job in jobs.items()} == {
        "a": {"videoUrl": "https://videos.example/a"},
        "b": {"videoUrl": "https://videos.example/b"},
    }
    assert all(job.source == KIND and job.target and job.target.address == id for id, job in jobs.items())
    assert box.online.limits == [LIMIT] and box.online.keys == ["the-key"]
    assert box.polls == ["ok"] and box.counted == {"found": 2, "taken": 2}


@pytest.mark.parametrize("wrap", [lambda found: found, lambda found: {"jobs": found}, lambda found: {"data": found}])
@pytest.mark.parametrize("names", [("jobId", "videoUrl"), ("job_id", "video_url"), ("id", "url")])
async def test_a_list_may_have_any_of_its_shapes(box: Box, wrap: Any, names: tuple[str, str]) -> None:
    box.online.rows = wrap([{names[0]: "a", names[1]: "https://videos.example/a"}])
    await box.poller.poll()
    assert list(await box.jobs()) == ["a"]


async def test_rows_that_did_not_fail_are_left_alone(box: Box) -> None:
    box.online.rows = [row("a", status="completed"), row("b", status="failed"), row("c", status=None)]
    await box.poller.poll()
    assert set(await box.jobs()) == {"b", "c"}


async def test_a_repeated_list_and_duplicate_ids_make_one_job(box: Box) -> None:
    box.online.rows = [*rows("a", "a"), row("a", "https://videos.example/other")]
    for _ in range(3):
        await box.poller.poll()
    assert await box.total() == 1 and (await box.jobs())["a"].sharers == 1


async def test_a_job_that_starts_and_ends_while_it_is_submitted_is_told_of_all_the_same(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = box.queue.submit

    async def at_once(submission: Any, **fence: Any) -> Any:
        made = await submit(submission, **fence)
        await box.end()
        return made

    monkeypatch.setattr(box.queue, "submit", at_once)
    box.online.rows = rows("a")
    with capture_logs() as lines:
        await box.poller.poll()
    told = [line["event"] for line in lines if line["event"].startswith("backend.")]
    assert told[-3:] == ["backend.processing", "backend.analyzing", "backend.submitting"]
    monkeypatch.undo()
    box.online.rows = rows("b", "c", "d")
    await box.poller.poll()
    assert set(await box.jobs()) == {"a", "b", "c", "d"}, "what has ended takes no room"


@pytest.mark.parametrize(
    "bad",
    [7, None, [], {}, row(None), row(""), row("../../etc/passwd"), row("a/b"), row("a..b"), row("a\nb"), row("x" * 201),
     row(True), row({"$ne": 1}), row("a", "file:///etc/passwd"), row("a", 5), row("a", "javascript:1")],
)  # fmt: skip
async def test_one_bad_row_is_skipped_and_the_others_run(box: Box, bad: Any) -> None:
    box.online.rows = [*rows("good"), bad, *rows("fine")]
    await box.poller.poll()
    assert set(await box.jobs()) == {"good", "fine"}
    assert box.poller.state.trouble is None


async def test_a_number_is_an_id_too(box: Box) -> None:
    box.online.rows = [row(17)]
    await box.poller.poll()
    assert list(await box.jobs()) == ["17"]


NONSENSE: dict[str, Answer] = {
    "500": lambda _: web.Response(status=500),
    "a redirect": lambda _: web.Response(status=302, headers={"Location": "/v1/analysis/failed"}),
    "malformed JSON": lambda _: web.Response(text='[{"jobId": "a", ', content_type="application/json"),
    "HTML with 200": lambda _: web.Response(text="<html>welcome</html>", content_type="text/html"),
    "no list": lambda _: web.json_response({"jobs": "none"}),
    "ten megabytes": lambda _: web.Response(body=b"[" + b"1," * 5_000_000 + b"1]"),
    "deep nesting": lambda _: web.Response(body=b"[" * 200_000 + b"]" * 200_000),
    "no UTF-8": lambda _: web.Response(body=b'["\xff\xfe"]'),
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
async def test_nonsense_costs_a_poll_and_nothing_else(box: Box, answer: Answer) -> None:
    box.online.answer = answer
    assert await box.poller.poll() >= EVERY
    assert box.poller.state.down_since == box.clock.now() and box.poller.state.trouble
    assert box.polls == ["error"] and await box.total() == 0
    box.online.answer, box.online.rows = None, rows("a")
    await box.poller.poll()
    assert box.poller.state.down_since is None and await box.total() == 1


async def test_a_key_that_is_refused_pauses_the_polls(box: Box) -> None:
    box.online.answer = lambda _: web.Response(status=401)
    assert await box.poller.poll() == REFUSED_PAUSE
    assert box.polls == ["refused"] and box.poller.state.refused and "INTERNAL_API_KEY" in str(box.poller.state.trouble)


async def test_a_busy_backend_is_asked_when_it_said(box: Box) -> None:
    box.online.answer = lambda _: web.Response(status=503, headers={"Retry-After": "1800"})
    assert await box.poller.poll() == timedelta(minutes=30)


async def test_a_slow_backend_is_given_up_for_this_time() -> None:
    async with opened(timeout=ClientTimeout(total=0.1)) as box:
        box.online.hold = asyncio.Event()
        assert await box.poller.poll() == EVERY
        assert "no answer" in str(box.poller.state.trouble)
        box.online.hold.set()


async def test_a_backend_that_is_down_for_a_day_is_polled_ever_more_seldom_and_then_as_before() -> None:
    clock = ManualClock()
    async with operators_session("test") as session, asyncio.TaskGroup() as tasks:
        online = Online()
        server = TestServer(online.app())
        await server.start_server()
        port = server.port
        await server.close()
        box = Box(online, Backend(session, f"http://127.0.0.1:{port}", None, clock), clock)
        began = clock.now()
        running = tasks.create_task(box.poller.run())
        while clock.now() - began < timedelta(days=1):
            await _asleep(clock)
            await clock.advance(60)
        assert set(box.polls) == {"error"} and 95 < len(box.polls) < 110
        assert box.poller.state.down_since is not None
        server = TestServer(online.app(), port=port)
        await server.start_server()
        online.rows = rows("a")
        await clock.advance(LONGEST_BACKOFF.total_seconds())
        await _asleep(clock)
        assert box.polls[-1] == "ok" and await box.total() == 1
        await clock.advance(EVERY.total_seconds())
        await _asleep(clock)
        assert box.polls[-2:] == ["ok", "ok"]
        running.cancel()
        await server.close()


async def test_no_more_run_here_at_once_than_the_limit_says(box: Box) -> None:
    box.online.answer = lambda _: web.json_response(rows(*"abcdefgh"))
    await box.poller.poll()
    await box.poller.poll()
    assert set(await box.jobs()) == {"a", "b", "c"}
    await box.end()
    await box.arrived()
    await box.poller.poll()
    assert set(await box.jobs()) == set("abcdef")


async def test_as_many_rows_are_asked_for_as_an_alarm_takes(box: Box) -> None:
    box.online.rows = rows(*range(60))
    box.poller = box.another(alarming=51)
    await box.poller.poll()
    assert box.online.limits == [51] and box.poller.state.found == 51 and await box.total() == LIMIT


async def test_the_operator_sees_how_the_takeover_goes(box: Box) -> None:
    box.online.rows = rows("a")
    await box.poller.poll()
    await box.end()
    [delivery] = (await box.store.outbox.due(box.clock.now(), 10))[0]
    box.results(DeliveryTried(delivery))
    with structlog.testing.capture_logs() as lines:
        box.results(DeliveryTried(replace(delivery, state="delivered")))
    assert [line["message"] for line in lines] == ["[Active Mode] ✅ Job a completed successfully"]
    shown = box.poller.figures()
    assert shown["lastPoll"] == shown["lastAnswer"] == "2030-01-01T00:00:00.000Z"
    assert (shown["found"], shown["taken"], shown["delivered"], shown["trouble"]) == (1, 1, 1, None)
    assert box.counted == {"found": 1, "taken": 1}
    json.dumps(shown)
