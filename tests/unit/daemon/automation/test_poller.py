"""Active mode against a backend on loopback: what it lists runs here once, and no nonsense of its stops anything."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
import structlog
from aiohttp import ClientTimeout, web
from aiohttp.test_utils import TestServer
from pydantic import BaseModel
from structlog.testing import capture_logs

from secondunit.daemon.automation.backend import KIND, REFUSED_PAUSE, Backend, BackendSender
from secondunit.daemon.automation.backend_results import BackendResults
from secondunit.daemon.automation.poller import Poller
from secondunit.daemon.automation.polls import KEPT, BackendJobs, Polled
from secondunit.daemon.automation.takeover_terms import LONGEST_BACKOFF, Terms
from secondunit.daemon.delivery.dispatcher import DeliveryTried
from secondunit.daemon.delivery.policy import Delivered, Gone, TryLater
from secondunit.daemon.wiring.backend import operators_session
from secondunit.queue.errors import BadPayload, DutyLost, FieldError
from secondunit.queue.handler import HandlerSpec, Registry
from secondunit.queue.hub import Hub
from secondunit.queue.instrumentation import Fact
from secondunit.queue.model import Filter, Job, Status
from secondunit.queue.outcome import Completed
from secondunit.queue.ports.duties import Candidate, Tenure
from secondunit.queue.service import Queue
from secondunit.queue.store import Delivery
from secondunit.queue.stores.memory import MemoryStore
from secondunit.queue.value import replace
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import BROKEN, TTL, NoJitter, held, settled

EVERY, LIMIT, COOLDOWN = timedelta(minutes=1), 3, timedelta(hours=1)
RESULT = {"recipe": {"name": "soup"}, "metadata": {"gemini_tokens": 5}}
Answer = Callable[[web.Request], web.Response]


class Video(BaseModel):
    videoUrl: str  # noqa: N815  the payload's own name


def check(video: Video) -> None:
    if "refused" in video.videoUrl:
        raise BadPayload(FieldError("videoUrl", "is not wanted"))


async def never_run(ctx: Any, payload: Any) -> None:
    raise AssertionError("tests move jobs themselves")


ANALYZE = HandlerSpec("analyze", Video, never_run, concurrency=100, check=check)


class Online:
    """The backend: lists what it is told to, remembers what it is asked and given."""

    def __init__(self) -> None:
        self.rows: Any = []
        self.answer: Answer | None = None
        self.claim_status = 404
        self.hold: asyncio.Event | None = None
        self.limits: list[int] = []
        self.keys: list[str | None] = []
        self.claims: list[str] = []
        self.grants_once = False
        self.owners: dict[str, str] = {}
        self.puts: list[tuple[str, Any, str, str]] = []
        self.traces: list[str | None] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/analysis/failed", self._failed)
        app.router.add_post("/v1/analysis/{id}/claim", self._claim)
        app.router.add_put("/v1/analysis/{id}/result", self._put)
        return app

    async def _failed(self, request: web.Request) -> web.Response:
        self.limits.append(int(request.query["limit"]))
        self.keys.append(request.headers.get("X-API-Key"))
        if self.hold:
            await self.hold.wait()
        if self.answer:
            return self.answer(request)
        rows = self.rows[: self.limits[-1]] if isinstance(self.rows, list) else self.rows
        return web.json_response(rows)

    async def _claim(self, request: web.Request) -> web.Response:
        self.claims.append(request.match_info["id"])
        if self.grants_once and self.owners.setdefault(self.claims[-1], request.headers["Secondunit-Box"]):
            mine = self.owners[self.claims[-1]] == request.headers["Secondunit-Box"]
            return web.Response(status=204 if mine else 409)
        return web.Response(status=self.claim_status)

    async def _put(self, request: web.Request) -> web.Response:
        headers = request.headers["Idempotency-Key"], request.headers["Secondunit-Epoch"]
        self.puts.append((request.match_info["id"], await request.json(), *headers))
        self.traces.append(request.headers.get("traceparent"))
        return self.answer(request) if self.answer else web.Response(status=204)


def row(id: Any, url: Any = "https://videos.example/v", **more: Any) -> dict[str, Any]:
    return {"jobId": id, "videoUrl": url, **more}


def rows(*ids: Any) -> list[dict[str, Any]]:
    return [row(id, f"https://videos.example/{id}") for id in ids]


class Box:
    """This side: a queue over the reference store, and a poller, on a clock that a test moves."""

    def __init__(self, online: Online, backend: Backend, clock: ManualClock) -> None:
        self.online = online
        self.backend = backend
        self.clock = clock
        self.store = MemoryStore("g1")
        self.hub = Hub()
        self.store.listen(self.hub.publish)
        self.queue = Queue(self.store, Registry([ANALYZE]), self.hub, self.clock, random.Random(1))
        self.polls: list[str] = []
        self.counted: dict[str, int] = {}
        self.results = BackendResults()
        self.poller = self.another()

    def another(self, alarming: int = 0) -> Poller:
        """A poller of the daemon's next life."""
        terms = Terms(EVERY, LIMIT, COOLDOWN, alarming)
        cache, results = self.store.cache, self.results
        poller = Poller(
            self.queue, cache, self.backend, terms, self.clock, NoJitter(), results=results, emit=self._hear
        )
        self.hub.tap(poller.hear)
        return poller

    def _hear(self, fact: Fact) -> None:
        match fact:
            case Polled():
                self.polls.append(fact.outcome)
            case BackendJobs():
                self.counted[fact.what] = self.counted.get(fact.what, 0) + fact.number

    async def jobs(self) -> dict[str, Job]:
        """The newest job of each analysis."""
        page = await self.queue.find(Filter(), limit=1000)
        return {job.labels["analysis_id"]: job for job in reversed(page.jobs)}

    async def total(self) -> int:
        return (await self.queue.find(Filter(), limit=1)).total

    async def end(self, outcome: Any = Completed(RESULT)) -> None:
        """Run everything that waits, with this outcome."""
        for job in await self.store.claim({"analyze": 100}, 100, "boot", TTL, self.clock.now()):
            await self.store.change(job.id, settled(outcome, self.clock.now()), lease=held(job))

    async def deliver(self) -> list[Any]:
        """Try every pending delivery once."""
        due = await self.store.outbox.due(self.clock.now(), 100)
        return [await BackendSender(self.backend).send(delivery) for delivery in due]

    async def arrived(self) -> None:
        """Mark every pending delivery as delivered."""
        for found in await self.store.outbox.due(self.clock.now(), 100):
            await self.store.outbox.change(found.id, self._done)

    def _done(self, delivery: Delivery) -> Delivery:
        return replace(delivery, state="delivered", next_at=None, finished_at=self.clock.now())


@asynccontextmanager
async def opened(**backend: Any) -> AsyncIterator[Box]:
    online = Online()
    async with TestServer(online.app()) as server, operators_session("test") as session:
        clock = ManualClock()
        url = str(server.make_url("")).rstrip("/")
        yield Box(online, Backend(session, url, "the-key", clock, **backend), clock)


@pytest.fixture
async def box() -> AsyncIterator[Box]:
    async with opened() as box:
        yield box


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


async def _asleep(clock: ManualClock) -> None:
    """Until the poll that is under way has ended."""
    async with asyncio.timeout(30):
        while not clock.sleepers:
            await asyncio.sleep(0.001)


async def test_no_more_run_here_at_once_than_the_limit_says(box: Box) -> None:
    box.online.answer = lambda _: web.json_response(rows(*"abcdefgh"))
    await box.poller.poll()
    await box.poller.poll()
    assert set(await box.jobs()) == {"a", "b", "c"}
    await box.end()
    await box.arrived()
    await box.poller.poll()
    assert set(await box.jobs()) == set("abcdef")


async def test_what_failed_here_cools_down_ever_longer_and_the_rest_is_not_blocked_by_it(box: Box) -> None:
    box.online.rows = rows("p1", "p2", "p3", "good")
    await box.poller.poll()
    await box.end(BROKEN)
    await box.arrived()
    await box.poller.poll()  # sees that three wait
    assert box.poller.state.waiting == 3 and await box.total() == 3
    await box.poller.poll()
    assert box.online.limits == [3, 3, 6] and "good" in await box.jobs()
    await box.end()
    ran = []
    for hour in range(1, 100):
        await box.clock.advance(3600)
        await box.poller.poll()
        if (await box.jobs())["p1"].status is Status.QUEUED:
            ran.append(hour)
        await box.end(BROKEN)
        await box.arrived()
    assert ran[:5] == [1, 3, 7, 15, 31] and set(map(int.__sub__, ran[5:], ran[4:])) == {24}


async def test_bad_and_refused_rows_at_the_head_do_not_block_the_rest(box: Box) -> None:
    box.online.rows = [row("../x"), row("r", "https://videos.example/refused"), row("s", "https://videos.example/refused"),
                       *rows("good")]  # fmt: skip
    await box.poller.poll()
    await box.poller.poll()
    await box.poller.poll()
    assert list(await box.jobs()) == ["good"]
    assert set(box.poller.quarantined) == {"r", "s"} and list(box.poller.live.values()) == ["good"]
    assert {poll.outcome for poll in box.poller.polls} == {"ok"} and sum(poll.taken for poll in box.poller.polls) == 1


async def test_what_came_of_the_last_polls_is_kept_newest_first(box: Box) -> None:
    box.online.rows = rows("a", "b")
    await box.poller.poll()
    box.online.answer = lambda _: web.Response(status=401)
    for _ in range(30):
        await box.poller.poll()
    assert len(box.poller.polls) == KEPT and {poll.outcome for poll in box.poller.polls} == {"refused"}
    assert box.poller.failures == 30 and "INTERNAL_API_KEY" in str(box.poller.polls[0].why)
    box.online.answer = None
    await box.poller.poll()
    assert (box.poller.polls[0].outcome, box.poller.polls[0].found, box.poller.failures) == ("ok", 2, 0)


async def test_a_restart_remembers_what_runs_what_failed_and_what_is_on_its_way(box: Box) -> None:
    box.online.answer = lambda _: web.json_response(rows("failed", "sent", "runs", "new"))
    box.online.rows = rows("failed", "sent")
    await box.poller.poll()
    jobs = await box.jobs()
    await box.store.claim({"analyze": 1}, 1, "boot", TTL, box.clock.now())
    first = await box.store.get(jobs["failed"].id)
    await box.store.change(first.id, settled(BROKEN, box.clock.now()), lease=held(first))
    [second] = await box.store.claim({"analyze": 1}, 1, "boot", TTL, box.clock.now())
    await box.store.change(second.id, settled(Completed(RESULT), box.clock.now()), lease=held(second))
    before = await box.total()
    again = box.another()
    task = asyncio.create_task(again.run())
    await _asleep(box.clock)
    task.cancel()
    taken = set(await box.jobs())
    assert await box.total() - before == len(taken) - len(jobs)
    assert (await box.jobs())["failed"].status is Status.FAILED and (await box.jobs())["sent"].status.ended
    assert len([job for job in (await box.jobs()).values() if not job.status.ended]) <= LIMIT


async def test_a_result_goes_back_with_its_key_and_epoch_and_the_same_at_every_try(box: Box) -> None:
    box.online.rows = rows("a")
    await box.poller.poll()
    await box.end()
    assert await box.deliver() == [Delivered(204)]
    await box.deliver()
    assert box.online.puts[0] == box.online.puts[1]
    [id, body, key, epoch] = box.online.puts[0]
    assert (id, body, epoch) == ("a", RESULT, "1") and key.startswith((await box.jobs())["a"].id)


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        ((409, {}), Delivered(409)),
        ((412, {}), Delivered(412)),
        ((404, {}), Gone("the backend does not know this analysis any more", 404)),
        ((410, {}), Gone("the backend does not know this analysis any more", 410)),
        ((401, {}), TryLater("the backend answered 401: check INTERNAL_API_KEY", 401, REFUSED_PAUSE)),
        ((503, {"Retry-After": "90"}), TryLater("the backend answered 503", 503, timedelta(seconds=90))),
        ((500, {}), TryLater("the backend answered 500", 500)),
    ],
)
async def test_the_answer_to_a_result_is_judged(box: Box, answer: tuple[int, dict[str, str]], sent: Any) -> None:
    box.online.rows = rows("a")
    await box.poller.poll()
    await box.end()
    box.online.answer = lambda _: web.Response(status=answer[0], headers=answer[1])
    assert await box.deliver() == [sent]


async def test_a_result_goes_out_as_a_part_of_the_trace_that_is_made_here_and_else_of_none(box: Box) -> None:
    box.online.rows = rows("a")
    await box.poller.poll()
    await box.end()
    [delivery] = await box.store.outbox.due(box.clock.now(), 10)
    for sender in (BackendSender(box.backend), BackendSender(box.backend, trace=lambda _: "00-1-2-01")):
        await sender.send(delivery)
    assert box.online.traces == [None, "00-1-2-01"]


async def test_of_a_failed_job_the_backend_is_told_nothing(box: Box) -> None:
    box.online.rows = rows("a")
    await box.poller.poll()
    await box.end(BROKEN)
    [delivery] = await box.store.outbox.due(box.clock.now(), 10)
    assert not BackendSender(box.backend).tells(delivery)
    box.results(DeliveryTried(replace(delivery, state="delivered")))
    assert not box.online.puts and box.results.delivered == 0


async def test_a_result_that_is_no_analysis_is_given_up_not_sent(box: Box) -> None:
    box.online.rows = rows("a")
    await box.poller.poll()
    await box.end(Completed("nothing"))
    assert isinstance((await box.deliver())[0], Gone) and not box.online.puts


async def test_an_analysis_that_another_box_claimed_is_left_to_it(box: Box) -> None:
    box.online.claim_status = 409
    box.online.rows = rows("a")
    await box.poller.poll()
    assert await box.total() == 0 and box.online.claims == ["a"]
    box.online.claim_status = 200
    await box.poller.poll()
    assert await box.total() == 1


async def test_a_box_that_drains_takes_nothing_from_the_others(box: Box) -> None:
    box.online.rows, box.online.claim_status = rows("a"), 204
    box.queue.draining = True
    await box.poller.poll()
    assert box.online.claims == [] and box.poller.state.found == 1
    box.queue.draining = False
    await box.poller.poll()
    assert box.online.claims == ["a"] and await box.total() == 1


async def test_a_backend_without_claims_is_asked_for_one_only_once(box: Box) -> None:
    box.online.rows = rows("a", "b")
    await box.poller.poll()
    assert box.online.claims == ["a"] and await box.total() == 2


@pytest.mark.parametrize(("offers", "done"), [("once", 1), ("everybody", 2), ("none", 2)])
async def test_what_two_boxes_do_depends_on_the_claims_that_the_backend_grants(offers: str, done: int) -> None:
    online, clock, lines = Online(), ManualClock(), []
    online.rows, online.grants_once = rows("a", "b", "c"), offers == "once"
    online.claim_status = 204 if offers == "everybody" else 404
    async with TestServer(online.app()) as server, operators_session("test") as session:
        url = str(server.make_url("")).rstrip("/")
        boxes = [Box(online, Backend(session, url, None, clock, box=name), clock) for name in ("one", "twö\n")]
        with capture_logs() as lines:
            for _ in range(3):
                await asyncio.gather(*(box.poller.poll() for box in boxes))
        ids = [id for box in boxes for id in await box.jobs()]
    assert sorted(ids) == sorted(["a", "b", "c"] * done)
    told = [line["message"] for line in lines if line["event"] == "backend.no_claims"]
    assert len(told) == (2 if offers == "none" else 0) and all("does and pays each again" in text for text in told)


async def test_a_claim_without_an_answer_is_asked_for_again_before_it_is_done_without(box: Box) -> None:
    box.online.rows, box.online.claim_status = rows("a"), 500
    for _ in range(2):
        await box.poller.poll()
        assert await box.total() == 0
    await box.poller.poll()
    assert await box.total() == 1 and box.online.claims == ["a"] * 3


async def test_one_that_is_gone_does_not_mean_that_there_are_no_claims(box: Box) -> None:
    box.online.rows, box.online.claim_status = rows("a"), 204
    await box.poller.poll()
    box.online.rows, box.online.claim_status = rows("b"), 404
    await box.poller.poll()
    box.online.claim_status = 409
    await box.poller.poll()
    assert box.online.claims == ["a", "b", "b"] and list(await box.jobs()) == ["a"]


async def test_every_end_is_told_with_the_backend_s_id_and_the_reason(box: Box) -> None:
    box.online.rows = rows("good", "bad", "gone")
    await box.poller.poll()
    jobs = await box.jobs()
    with capture_logs() as lines:
        await box.queue.cancel(jobs["gone"].id)
        outcomes: dict[str, Any] = {jobs["good"].id: Completed(RESULT), jobs["bad"].id: BROKEN}
        for job in await box.store.claim({"analyze": 100}, 100, "boot", TTL, box.clock.now()):
            await box.store.change(job.id, settled(outcomes[job.id], box.clock.now()), lease=held(job))
    told = {line["analysis_id"]: line["message"] for line in lines if line["event"] != "backend.processing"}
    assert told["good"] == "[Active Mode] Submitting result for job good"
    assert told["bad"] == f"[Active Mode] Job bad failed: {BROKEN.error.message}; the backend keeps it as failed"
    assert told["gone"] == "[Active Mode] Job gone cancelled: cancelled on request; the backend keeps it as failed"


async def test_as_many_rows_are_asked_for_as_an_alarm_takes(box: Box) -> None:
    box.online.rows = rows(*range(60))
    box.poller = box.another(alarming=51)
    await box.poller.poll()
    assert box.online.limits == [51] and box.poller.state.found == 51 and await box.total() == LIMIT


async def test_the_operator_sees_how_the_takeover_goes(box: Box) -> None:
    box.online.rows = rows("a")
    await box.poller.poll()
    await box.end()
    [delivery] = await box.store.outbox.due(box.clock.now(), 10)
    box.results(DeliveryTried(delivery))
    with structlog.testing.capture_logs() as lines:
        box.results(DeliveryTried(replace(delivery, state="delivered")))
    assert [line["message"] for line in lines] == ["[Active Mode] ✅ Job a completed successfully"]
    shown = box.poller.figures()
    assert shown["lastPoll"] == shown["lastAnswer"] == "2030-01-01T00:00:00.000Z"
    assert (shown["found"], shown["taken"], shown["delivered"], shown["trouble"]) == (1, 1, 1, None)
    assert box.counted == {"found": 1, "taken": 1}
    json.dumps(shown)


async def tenure(box: Box, boot: str, lasts: bool = True) -> Tenure:
    """The duty of a boot, taken whoever had it."""
    late = box.clock.now() + timedelta(days=len(boot))
    [duty] = await box.store.duties.take(["poller"], Candidate(boot, timedelta(seconds=6), late))
    assert duty.boot == boot
    return Tenure(duty, lambda: lasts)


async def test_a_box_that_was_frozen_in_a_poll_takes_nothing_on(box: Box) -> None:
    box.online.rows, box.online.hold = rows("a"), asyncio.Event()
    stale = asyncio.create_task(box.poller.run(await tenure(box, "a/1")))
    while not box.online.limits:
        await asyncio.sleep(0.01)
    await tenure(box, "another/1")
    box.online.hold.set()
    with pytest.raises(DutyLost):
        await stale
    assert await box.jobs() == {} and not box.poller.on_duty


async def test_who_is_not_sure_to_poll_any_more_claims_nothing_at_the_backend(box: Box) -> None:
    box.online.rows, box.online.claim_status = rows("a"), 204
    polling = asyncio.create_task(box.poller.run(await tenure(box, "a/1", lasts=False)))
    while not box.poller.polls:
        await asyncio.sleep(0.01)
    polling.cancel()
    assert box.online.claims == [] and await box.jobs() == {}


async def test_who_polls_no_more_knows_of_no_trouble_and_who_takes_over_knows_what_lives(box: Box) -> None:
    box.online.rows = rows("a")
    first = asyncio.create_task(box.poller.run())
    while not box.poller.polls:
        await asyncio.sleep(0.01)
    box.online.answer = lambda _: web.Response(status=503)
    assert box.poller.on_duty and len(box.poller.live) == 1
    await box.poller.poll()
    assert box.poller.state.down_since is not None
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    assert not box.poller.on_duty and box.poller.state.down_since is None and box.poller.state.answered_at is None
    box.online.answer = None
    second = box.another()
    task = asyncio.create_task(second.run())
    while not second.polls:
        await asyncio.sleep(0.01)
    assert list(second.live.values()) == ["a"] and await box.total() == 1
    task.cancel()
