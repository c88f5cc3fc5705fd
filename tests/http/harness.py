"""One API and all that it stands on, and how tests call it."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp.test_utils import TestClient

from secondunit.daemon.access.keyring import Keyring, NewKey
from secondunit.daemon.access.sessions import Sessions
from secondunit.daemon.automation.polls import BackendStatus
from secondunit.daemon.automation.scheduler import Scheduler
from secondunit.daemon.dashboard.figures import Figures, Spending
from secondunit.daemon.dashboard.front import Dashboard
from secondunit.daemon.dashboard.pages import dashboard_of
from secondunit.daemon.dashboard.renderer import Renderer
from secondunit.daemon.diagnosis.checks import bad
from secondunit.daemon.diagnosis.report import DaemonReport
from secondunit.daemon.diagnosis.sandbox import sandbox_check
from secondunit.daemon.files.backups import Copy
from secondunit.daemon.http.context import Analyses, Api, HttpSettings, Locations
from secondunit.daemon.http.contract import responses
from secondunit.daemon.http.contract.trailtag import items_of
from secondunit.daemon.http.partial_data import PartialData
from secondunit.daemon.http.transport.problems import MEDIA_TYPE
from secondunit.daemon.http.transport.reaper import Reaper
from secondunit.daemon.leasing.work import ArtifactFolder, remote_work
from secondunit.daemon.monitoring.health_report import HealthReport
from secondunit.daemon.sight.answers import Answers
from secondunit.daemon.sight.boxes import KnownBoxes
from secondunit.daemon.sight.errors import ErrorGroups
from secondunit.daemon.sight.explainer import Explainer
from secondunit.daemon.sight.forecast import Forecast
from secondunit.daemon.sight.loop_lag import LoopLag
from secondunit.daemon.sight.programs import Program
from secondunit.daemon.sight.stats import QueueStatistics
from secondunit.daemon.sight.system import DiskState, SystemReport
from secondunit.daemon.sight.types import ServedTypes
from secondunit.daemon.wiring.caches import CachedResults
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.handlers.tools.programs.sandbox.measuring import OFF
from secondunit.queue import state, value
from secondunit.queue.handler import HandlerSpec, Registry
from secondunit.queue.hub import Hub
from secondunit.queue.model import Event, Job, Lease
from secondunit.queue.outcome import Completed, Outcome
from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.running.execution import nothing_reserved
from secondunit.queue.running.experience import Experience
from secondunit.queue.running.presence import Presence
from secondunit.queue.service import Queue
from secondunit.queue.sight.room import Load
from secondunit.queue.state import QueueLimits
from secondunit.queue.store import Delivery
from secondunit.queue.stores.memory import MemoryStore
from secondunit.testing.clock import ManualClock
from tests.http.documented import _route, fits
from tests.http.fake_metrics import FakeMetrics
from tests.http.job_types import SPECS
from tests.http.reader import Reader

TTL = timedelta(seconds=30)
RENDERER = cache(Renderer)  # compiling every template takes a third of a second


class ApiHarness:
    """One API and all that it stands on; `specs` are more job types, `analyses` what their endpoints need."""

    def __init__(
        self,
        specs: Sequence[HandlerSpec] = (),
        analyses: Callable[["ApiHarness"], Analyses] | None = None,
        **settings: Any,
    ) -> None:
        self.clock = ManualClock()
        self.rng = random.Random(7)
        self.store = MemoryStore("g1")
        self.hub = Hub()
        self.store.listen(self.hub.publish)
        self.metrics = FakeMetrics()
        self.load: dict[str, Any] = {}
        self.refusal: Exception | None = None
        self.health = HealthReport("ok", ["all is well"], {"queueDepth": 3})
        self.backend = BackendStatus()
        self.stopped: list[Lease] = []
        self.lost: list[Lease] = []
        registry = Registry([*SPECS, *specs])
        self.queue = Queue(
            self.store,
            registry,
            self.hub,
            self.clock,
            self.rng,
            stop=self.stopped.append,
            lose=self.lost.append,
            limits=QueueLimits(of_one=settings.pop("max_queued_of_one", 100_000)),
        )
        planned = settings.pop("schedules", ())
        self.scheduler = Scheduler(planned, self.queue, self.store.schedules, self.store.audit, self.clock)
        self.hub.tap(self.scheduler.hear)
        self.experience = Experience(self.store, registry, self.clock, self.metrics.hear, nothing_reserved)
        self.stopping = asyncio.Event()
        trusted = settings.pop("trusted", False)
        ttl = settings.pop("cache_ttl", timedelta(days=7))
        pages = settings.pop("pages", False)
        self.keys = Keyring(self.store.keys, settings.pop("api_key", None), self.clock, self.rng)
        rule = AddressRule(settings.pop("allowed", ()))
        self.remote = remote_work(
            TTL,
            self.clock,
            self.store,
            self.keys,
            "boot",
            emit=self.metrics.hear,
            types=registry,
            hub=self.hub,
            files=ArtifactFolder(settings.pop("work", Path("nowhere")), "b1", 1000, 2500, self._admit),
        )
        self.leasing = self.remote.leasing
        self.held_back: list[bool] = []
        row = BoxRow("here", "boot", "http://127.0.0.1:8000", "1.2.3", {"clip": 1, "idle": 3}, 5, TTL, self.clock.now())
        self.presence = Presence(self.store, self.clock, row, self.held_back.append, emit=self.metrics.hear)
        self.boxes = KnownBoxes(self.store, self.presence, self.clock, shared=True)
        self.api = Api(
            queue=self.queue,
            keys=self.keys,
            audit=self.store.audit,
            schedules=self.scheduler,
            rule=rule,
            clock=self.clock,
            metrics=self.metrics,
            emit=self.metrics.hear,
            health=self._health,
            doctor=self._doctor,
            retry_delivery=self._retry_delivery,
            stopping=self.stopping,
            artifacts=settings.pop("artifacts", None),
            version="1.2.3",
            partial_data=PartialData("b1", items_of),
            answers=Answers(
                explain := Explainer(
                    self.store, registry, self.clock, self._load, leasing=self.leasing, boxes=self.boxes
                ),
                Forecast(self.store, registry, self.clock, self._load, self.experience, explain.held),
                ServedTypes(self.queue, self.store, dict.fromkeys(registry, "tests"), self.leasing.workers),
                ErrorGroups(self.store, self.clock),
                QueueStatistics(self.store, self.clock),
                SystemReport(
                    self._programs, lambda: [DiskState("data", 9)], None, self._backup, LoopLag(), {"landlock": 5}
                ),
                self.boxes,
                lambda: self.backend,
            ),
            settings=HttpSettings(**settings),
            trusted=trusted,
            analyses=analyses(self) if analyses else None,
            locations=Locations(
                CachedResults(self.store.cache, self.clock, ttl),
                "gemini-test",
                CachedResults(self.store.cache, self.clock, ttl or timedelta(days=1)),
                keeps_results=bool(ttl),
            ),
            remote=self.remote,
        )
        self.hub.tap(self.api.partial_data.hear)
        self.spending = Spending(self.clock)
        self.front = self._front() if pages else None
        self.client: TestClient[Any, Any]
        self.reaper: Reaper

    async def call(
        self, method: str, path: str, body: Any = None, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Any:
        """The answer to a call, held to the status expected and to what the document says of it."""
        return await self.answered(await self.raw(method, path, body, headers=headers), path, status)

    async def answered(self, answer: aiohttp.ClientResponse, path: str, status: int) -> Any:
        """The JSON of this answer, held to the same."""
        content = await answer.read()
        assert answer.status == status, content
        route = _route(answer.method, path)
        if status >= 400 and not (route and status in route.success):
            assert answer.content_type == MEDIA_TYPE
            problem = msgspec.json.decode(content, type=responses.Problem)
            assert problem.status == status
            assert route is None or status in (*route.problems, 401, 403, 421, 429, 500, 405)
        elif route is not None:
            assert status in route.success
            if route.answer is not None:
                assert answer.content_type == "application/json"
                assert fits(route.answer, content)
        return json.loads(content)

    async def refused(self, method: str, path: str, body: Any = None, **expected: Any) -> dict[str, str]:
        """The fields that a call is refused for (422), each with what is said of it."""
        problem = await self.call(method, path, body, status=422, **expected)
        return {fault["field"]: fault["message"] for fault in problem["errors"]}

    async def raw(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> aiohttp.ClientResponse:
        """The response as it is; `body` goes out as JSON."""
        if body is not None:
            more["json"] = body
        return await self.client.request(method, path, headers=headers, **more)

    async def submit(self, type: str = "idle", payload: Mapping[str, Any] | None = None, **fields: Any) -> str:
        """Submit a job over HTTP; its id."""
        answer = await self.call("POST", "/api/jobs", {"type": type, "payload": payload or {}, **fields}, status=201)
        return str(answer["jobId"])

    async def key(self, *scopes: Any, name: str = "key", **fields: Any) -> dict[str, str]:
        """The headers of a new key."""
        text, _ = await self.keys.issue(NewKey(name, list(scopes), **fields))
        return {"Authorization": f"Bearer {text}"}

    async def start(self, job_id: str) -> Lease:
        """Claim jobs until this one runs."""
        while (job := await self.store.get(job_id)).lease is None:
            claimed = await self.store.claim({job.type: 1}, 1, "boot", TTL, self.clock.now())
            assert claimed, f"{job_id} can't be started"
        return job.lease

    async def settle(self, job_id: str, outcome: Outcome = Completed({"ok": True})) -> Job:
        """End the job's run, started first if need be."""
        lease = await self.start(job_id)
        now = self.clock.now()
        return await self.store.change(job_id, lambda job: state.settle(job, outcome, self.rng, now), lease=lease)

    @asynccontextmanager
    async def listen(self, path: str, **headers: str) -> AsyncIterator["Reader"]:
        """A reader of an event stream, past its opening lines."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.get(path, headers=named) as response:
            assert response.status == 200, await response.text()
            yield Reader(response)

    @property
    def readers(self) -> int:
        """How many are subscribed to events."""
        return len(self.hub._subscriptions) + sum(map(len, self.hub._by_job.values()))

    async def until(self, holds: Callable[[], object]) -> None:
        """Let the others run until this holds."""
        async with asyncio.timeout(30):
            while not holds():
                await asyncio.sleep(0.002)

    def live(self, event: Event) -> None:
        """Publish an event that is not stored."""
        self.hub.publish([event])

    def _load(self) -> Load:
        """That of a worker which has not begun, but for what a test says of it."""
        limits = {type: spec.concurrency for type, spec in self.queue.registry.items()}
        return value.replace(Load(limits, {}, 0, 5), **self.load)

    async def _doctor(self) -> DaemonReport:
        return DaemonReport(
            "1.2.3",
            7,
            keys=True,
            settings={"PORT": 8000},
            origins={"PORT": "default"},
            checks=[bad("backend", "it is down", "see to it"), sandbox_check("off", OFF)],
        )

    def _front(self) -> Dashboard:
        sessions = Sessions(self.store.cache, self.keys, self.clock, self.rng)
        return dashboard_of(self.api, sessions, Figures(self.spending), RENDERER)

    async def _programs(self) -> tuple[Sequence[Program], float | None]:
        return [Program("yt-dlp", "2029.12.30", None, self.clock.now() - timedelta(days=2)), Program("deno", None)], 1.9

    async def _backup(self) -> Copy:
        return Copy(Path("/backups/one.db"), self.clock.now(), None)

    def _admit(self) -> None:
        if self.refusal:
            raise self.refusal

    async def _health(self) -> HealthReport:
        return self.health

    async def _retry_delivery(self, delivery_id: str) -> Delivery:
        now = self.clock.now()
        return await self.store.outbox.change(delivery_id, lambda row: value.replace(row, state="pending", next_at=now))


Build = Callable[..., Awaitable[ApiHarness]]
