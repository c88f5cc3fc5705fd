"""Which deploys in the queue are newer."""

from typing import Any

import pytest

from secondunit.daemon.wiring.deployments import QueuedDeploys
from secondunit.queue import state
from secondunit.queue.outcome import Completed
from secondunit.queue.store import PAGE
from secondunit.queue.stores.memory import MemoryStore
from secondunit.testing.jobs import FLAKY, NOW, NoJitter, later, start, submit

SITE = {"projectId": "site"}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore("g1")


async def deploy(store: MemoryStore, *ids: str, **fields: Any) -> None:
    await submit(store, *ids, **{"type": "deploy", "payload": SITE, **fields})


async def test_the_last_one_submitted_is_named(store: MemoryStore) -> None:
    await deploy(store, "a", "b", "c")
    others = QueuedDeploys(store)
    assert [await others.newer(id, "projectId") for id in "abc"] == ["c", "c", None]


async def test_other_projects_and_types_are_no_rivals(store: MemoryStore) -> None:
    await deploy(store, "a")
    await deploy(store, "b", payload={"projectId": "other"})
    await deploy(store, "c", type="hls")
    assert await QueuedDeploys(store).newer("a", "projectId") is None


async def test_one_that_has_ended_is_no_rival(store: MemoryStore) -> None:
    await deploy(store, "a", at=NOW)
    lease = await start(store, "b", type="deploy", payload=SITE, priority=0)
    await store.change("b", lambda job: state.settle(job, Completed({}), NoJitter(), NOW), lease=lease)
    assert await QueuedDeploys(store).newer("a", "projectId") is None


async def test_one_that_was_asked_for_a_later_time_is_no_rival_until_then(store: MemoryStore) -> None:
    await deploy(store, "a")
    await deploy(store, "b", run_at=later(3600))
    assert await QueuedDeploys(store).newer("a", "projectId") is None


async def test_one_that_waits_for_its_next_attempt_is_a_rival(store: MemoryStore) -> None:
    await deploy(store, "a")
    lease = await start(store, "b", type="deploy", payload=SITE, priority=0)
    await store.change("b", lambda job: state.settle(job, FLAKY, NoJitter(), NOW), lease=lease)
    assert await QueuedDeploys(store).newer("a", "projectId") == "b"


async def test_every_page_of_the_queue_is_looked_through(store: MemoryStore) -> None:
    await deploy(store, "a", "b")
    await deploy(store, *(f"other{n}" for n in range(PAGE + 5)), payload={"projectId": "other"})
    assert await QueuedDeploys(store).newer("a", "projectId") == "b"
