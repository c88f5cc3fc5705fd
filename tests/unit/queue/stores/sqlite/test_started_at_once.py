"""A job that comes while there is room is leased in the transaction that stores it, by the rules of every claim."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from secondunit.queue.handler import HandlerSpec, JobContext, Registry
from secondunit.queue.hub import Hub
from secondunit.queue.model import Event, Filter, Idempotency, Status, Submission
from secondunit.queue.running.execution import Runtime
from secondunit.queue.running.leases import reclaim
from secondunit.queue.running.worker import Worker
from secondunit.queue.service import Queue
from secondunit.queue.stores.sqlite.store import SqliteStore, open_store
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import BOOT, TTL, later
from secondunit.testing.rig import Numbered, RecordedFolders, SteadyRandom


class Place:
    """A queue on SQLite with one slot; runs go on until `over` is set."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.over = asyncio.Event()
        self.commits: list[list[tuple[str, str]]] = []
        self.ran: list[str] = []
        hub, clock, rng = Hub(), ManualClock(), SteadyRandom()
        self.clock = clock
        registry = Registry([HandlerSpec("hls", Numbered, self._run)])
        runtime = Runtime(store, hub, clock, rng, RecordedFolders())
        self.worker = Worker(runtime, registry, boot=BOOT, ttl=TTL, most=1)
        self.queue = Queue(store, registry, hub, clock, rng, coming=self.worker.look)
        store.listen(hub.publish)
        store.listen(self._hear)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A worker that has found nothing to do."""
        working = asyncio.create_task(self.worker.run())
        while not self.clock.sleepers:  # it naps once it has found nothing, and nothing that comes due
            await asyncio.sleep(0)
        yield
        working.cancel()
        await asyncio.wait([working])

    def _hear(self, events: Sequence[Event]) -> None:
        self.commits.append([(event.job_id, event.name) for event in events])

    async def _run(self, ctx: JobContext, payload: Any) -> None:
        self.ran.append(ctx.job_id)
        await self.over.wait()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    store = await open_store(tmp_path / "queue.db")
    yield Place(store)
    await store.close()


def ask(**fields: Any) -> Submission:
    return Submission("hls", {"n": 1}, **fields)


async def test_with_room_a_job_is_queued_and_started_in_one_transaction(place: Place) -> None:
    async with place.working():
        job, _ = await place.queue.submit(ask())
        assert place.commits == [[(job.id, "queued"), (job.id, "started")]]
        assert (await place.queue.get(job.id)).status is Status.RUNNING


async def test_only_as_many_start_at_once_as_there_is_room_the_most_urgent_first(place: Place) -> None:
    async with place.working():
        jobs = [job for job, _ in await place.queue.submit_all([ask(priority=n) for n in (3, 1, 2)])]
        assert [id for commit in place.commits for id, name in commit if name == "started"] == [jobs[1].id]


async def test_a_job_for_later_and_one_of_a_paused_type_do_not_start(place: Place) -> None:
    async with place.working():
        await place.queue.submit(ask(run_at=later(60)))
        await place.queue.pause("hls")
        await place.queue.submit(ask())
        assert {name for commit in place.commits for _, name in commit} == {"queued"}


async def test_the_same_request_twice_at_once_runs_once(place: Place) -> None:
    async with place.working():
        twins = [place.queue.submit(ask(idempotency=Idempotency("k", b"1"))) for _ in range(2)]
        (one, new), (other, again) = await asyncio.gather(*twins)
        assert one.id == other.id and {new, again} == {True, False}
        place.over.set()
        await place.queue.wait(one.id)
        assert place.ran == [one.id]


async def test_a_death_right_after_the_birth_leaves_a_job_that_the_next_boot_frees(place: Place) -> None:
    async with place.working():
        job, _ = await place.queue.submit(ask())
        assert await reclaim(place.store, ManualClock(), "boot-2") == 1
        freed = await place.store.get(job.id)
        assert (freed.status, freed.attempt, freed.reclaims) == (Status.QUEUED, 1, 1)


async def test_a_job_taken_back_in_the_transaction_that_started_it_is_looked_for_again(place: Place) -> None:
    async with place.working():
        job, _ = await place.queue.submit(ask())
        queued, started = await place.store.events(0, Filter(ids=[job.id]), 10)
        place.worker._wake.clear()
        place.worker._hear([queued, started])
        assert not place.worker._wake.is_set()
        place.worker._hear([started, queued])
        assert place.worker._wake.is_set()
