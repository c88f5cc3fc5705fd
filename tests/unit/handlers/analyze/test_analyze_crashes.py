"""The analyze job on a real queue: what deaths, rate limits and lost answers cost; no answer is paid for twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.analyze import handler as analyze
from secondunit.handlers.tools.gemini.transport import GeminiHttpError
from secondunit.handlers.tools.storage.workspace import WorkFolders
from secondunit.queue.handler import Registry
from secondunit.queue.hub import Hub
from secondunit.queue.instrumentation import Fact, StepInDoubt
from secondunit.queue.model import Job, JobId, Status, Submission
from secondunit.queue.outcome import Unanswered
from secondunit.queue.running import leases
from secondunit.queue.running.execution import Runtime
from secondunit.queue.running.worker import Worker
from secondunit.queue.service import Queue
from secondunit.queue.store import Store
from secondunit.queue.stores.memory import MemoryStore
from secondunit.queue.stores.sqlite.store import open_store
from secondunit.testing.jobs import TTL
from secondunit.testing.rig import SteadyRandom
from tests.unit.handlers.analyze.conftest import URL

RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "40s"}
RATE_LIMITED = GeminiHttpError(429, {"error": {"message": "too fast", "details": [RETRY_INFO]}})


@dataclass
class Box:
    """A daemon's queue and worker over a kitchen; it can be killed and started again."""

    kitchen: Any
    store: Store
    folder: Path
    boots: int = 0
    doubts: list[tuple[str, int]] = field(default_factory=list)
    working: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Another life: what the last one held is free at once."""
        self.boots += 1
        boot, clock, hub = f"boot-{self.boots}", self.kitchen.clock, Hub()
        registry = Registry([analyze.build(self.kitchen.tools)])
        runtime = Runtime(self.store, hub, clock, SteadyRandom(), WorkFolders(self.folder), self._hear)
        worker = Worker(runtime, registry, boot=boot, ttl=TTL, most=5)
        self.queue = Queue(self.store, registry, hub, clock, SteadyRandom())
        self.store.listen(hub.publish)
        await leases.reclaim(self.store, clock, boot)
        self.working = asyncio.create_task(worker.run())

    def _hear(self, fact: Fact) -> None:
        if isinstance(fact, StepInDoubt):
            self.doubts.append((fact.step, fact.sends))

    async def kill(self) -> None:
        """The process is gone; what it did not write is lost."""
        assert self.working
        self.working.cancel()
        with suppress(asyncio.CancelledError):
            await self.working

    async def again(self) -> None:
        await self.kill()
        await self.start()

    async def ask(self, url: str = URL) -> JobId:
        job, _ = await self.queue.submit(Submission("analyze", {"videoUrl": url}))
        return job.id

    async def until(self, *reached: Callable[[], Any]) -> None:
        """Let the run go on, its threads too, until all of this holds."""
        async with asyncio.timeout(30):
            while not all(condition() for condition in reached):
                await self.kitchen.clock.advance(0.01)
                await asyncio.sleep(0.002)

    async def ended(self, job_id: JobId) -> Job:
        return await self._reached(job_id, lambda job: job.status.ended)

    async def put_off(self, job_id: JobId) -> Job:
        """The job once it waits for a later time."""
        return await self._reached(job_id, lambda job: job.status is Status.QUEUED and job.epoch > 0)

    async def _reached(self, job_id: JobId, condition: Callable[[Job], bool]) -> Job:
        async with asyncio.timeout(30):
            while not condition(job := await self.store.get(job_id)):
                await self.kitchen.clock.advance(0.01)
                await asyncio.sleep(0.002)
        return job


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = MemoryStore() if request.param == "memory" else await open_store(tmp_path / "queue.db")
    yield store
    await store.close()


@pytest.fixture
async def open_box(kitchen: Any, store: Store, tmp_path: Path) -> AsyncIterator[Callable[..., Box]]:
    boxes: list[Box] = []

    def make(*script: Any, **options: Any) -> Box:
        boxes.append(Box(kitchen(*script, store=store, **options), store, tmp_path / "data"))
        return boxes[-1]

    yield make
    for box in boxes:
        await box.kill()


async def test_killed_before_the_question_it_is_asked_once(open_box: Any) -> None:
    box = open_box()
    k = box.kitchen
    k.videos.hold.clear()
    await box.start()
    job_id = await box.ask()
    await box.until(lambda: k.videos.fetched)
    k.videos.hold.set()
    await box.again()
    job = await box.ended(job_id)
    assert (job.status, len(k.transport.asked), job.attempt, job.reclaims) == (Status.COMPLETED, 1, 1, 0)
    assert box.doubts == []


async def test_killed_between_question_and_answer_it_is_asked_twice_and_seen_to_be(open_box: Any) -> None:
    box = open_box()
    k = box.kitchen
    k.transport.arrive.clear()
    await box.start()
    job_id = await box.ask()
    await box.until(lambda: k.transport.asked)
    await box.kill()
    k.transport.arrive.set()
    await box.start()
    job = await box.ended(job_id)
    assert (job.status, len(k.transport.asked), k.videos.fetched) == (Status.COMPLETED, 2, [URL])
    assert box.doubts == [("gemini", 1)]


async def test_killed_twice_before_an_answer_it_is_not_asked_a_third_time(open_box: Any) -> None:
    box = open_box()
    k = box.kitchen
    k.transport.arrive.clear()
    await box.start()
    job_id = await box.ask()
    for sent in (1, 2):
        await box.until(lambda sent=sent: len(k.transport.asked) == sent)
        await box.again()
    job = await box.ended(job_id)
    assert job.error and (job.status, job.error.kind, job.error.type) == (Status.FAILED, "deterministic", "in_doubt")
    assert (len(k.transport.asked), box.doubts) == (2, [("gemini", 1), ("gemini", 2)])


async def test_killed_after_the_answer_it_is_not_asked_again(open_box: Any) -> None:
    box = open_box()
    k = box.kitchen
    counting = asyncio.Event()

    class Stuck:
        async def used(self, day: date) -> int:
            return 0

        async def add(self, day: date, tokens: int) -> None:
            counting.set()
            await asyncio.Event().wait()

    spending, k.tools.gemini._spending = k.tools.gemini._spending, Stuck()
    await box.start()
    job_id = await box.ask()
    await box.until(counting.is_set)
    await box.kill()
    k.tools.gemini._spending = spending
    await box.start()
    job = await box.ended(job_id)
    assert (job.status, len(k.transport.asked), box.doubts) == (Status.COMPLETED, 1, [])
    assert job.result["metadata"]["gemini_tokens"]["total"] == 1250


async def test_an_answer_that_was_lost_twice_ends_the_job_in_doubt(open_box: Any) -> None:
    box = open_box(Unanswered("lost"), Unanswered("lost"))
    await box.start()
    job = await box.ended(await box.ask())
    assert job.error and (job.error.type, len(box.kitchen.transport.asked)) == ("in_doubt", 2)


async def test_a_rate_limit_parks_all_jobs_visibly_and_costs_no_attempt(open_box: Any) -> None:
    box = open_box(RATE_LIMITED)
    k = box.kitchen
    await box.start()
    first = await box.put_off(await box.ask())
    second = await box.put_off(await box.ask(URL + "?v=2"))
    for job in (first, second):
        assert (job.status, job.attempt, job.error) == (Status.QUEUED, 1, None)
        assert job.run_at and timedelta(seconds=38) < job.run_at - k.clock.now() <= timedelta(seconds=40)
        assert "rate_limited" in str(job.message)
    assert len(k.transport.asked) == 1
    await k.clock.advance(41)
    for job in (first, second):
        assert (await box.ended(job.id)).status is Status.COMPLETED
    assert len(k.transport.asked) == 3


async def test_a_used_up_budget_makes_jobs_wait_and_is_remembered_across_restarts(open_box: Any) -> None:
    box = open_box(daily_tokens=1000)
    k = box.kitchen
    await box.start()
    await box.ended(await box.ask())
    await box.again()
    waiting = await box.put_off(await box.ask(URL + "?v=2"))
    assert "GEMINI_DAILY_TOKENS" in str(waiting.message) and waiting.attempt == 1
    assert waiting.run_at and (waiting.run_at.hour, waiting.run_at.day) == (0, k.clock.now().day + 1)
    await k.clock.leap(24 * 3600)
    assert (await box.ended(waiting.id)).status is Status.COMPLETED
