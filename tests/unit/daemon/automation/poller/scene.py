"""Active mode against a backend on loopback."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import BaseModel

from secondunit.daemon.automation.backend import Backend, BackendSender
from secondunit.daemon.automation.backend_results import BackendResults
from secondunit.daemon.automation.poller import Poller
from secondunit.daemon.automation.polls import BackendJobs, Polled
from secondunit.daemon.automation.takeover_terms import Terms
from secondunit.daemon.wiring.backend import operators_session
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.handler import HandlerSpec, Registry
from secondunit.queue.hub import Hub
from secondunit.queue.instrumentation import Fact
from secondunit.queue.model import Filter, Job
from secondunit.queue.outcome import Completed
from secondunit.queue.service import Queue
from secondunit.queue.store import Delivery
from secondunit.queue.stores.memory import MemoryStore
from secondunit.queue.value import replace
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import TTL, NoJitter, held, settled

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
        due = (await self.store.outbox.due(self.clock.now(), 100))[0]
        return [await BackendSender(self.backend).send(delivery) for delivery in due]

    async def arrived(self) -> None:
        """Mark every pending delivery as delivered."""
        for found in (await self.store.outbox.due(self.clock.now(), 100))[0]:
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


async def _asleep(clock: ManualClock) -> None:
    """Until the poll that is under way has ended."""
    async with asyncio.timeout(30):
        while not clock.sleepers:
            await asyncio.sleep(0.001)
