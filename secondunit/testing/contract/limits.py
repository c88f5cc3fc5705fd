"""Conformance tests of the queue's depth: how many jobs may wait is judged in the transaction that stores them."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from secondunit.queue import state
from secondunit.queue.errors import Saturated
from secondunit.queue.model import Idempotency, Job, Status
from secondunit.queue.outcome import Completed, Postpone
from secondunit.queue.state import QueueLimits
from secondunit.queue.store import Store
from secondunit.testing.jobs import ALL, NOW, by, claim_one, new, settled, submit

THREE = QueueLimits(of_one=3)


async def add(store: Store, *ids: str, owner: str | None = "A", limits: QueueLimits = THREE) -> Sequence[bool]:
    """Which of the jobs were new."""
    return [created for _, created in await store.add([new(id, owner=owner) for id in ids], limits)]


async def retry(store: Store, id: str, limits: QueueLimits = THREE) -> Job:
    """Queue the ended job again."""
    return await store.change(id, by(state.retry, NOW), limits=limits)


async def run(store: Store, id: str) -> None:
    """Run the job that is next in the line, to its end."""
    await store.change(id, settled(Completed({})), lease=await claim_one(store, id))


class LimitsContract:
    """No more jobs wait than may, of an owner and in all, however many come at once and by whichever way."""

    async def test_an_owner_has_no_more_queued_than_it_may_have(self, store: Store) -> None:
        await add(store, "a1", "a2")
        with pytest.raises(Saturated, match="2 jobs of this key are queued and MAX_QUEUED_PER_KEY is 3"):
            await add(store, "a3", "a4")
        await add(store, "a3")
        with pytest.raises(Saturated, match="3 jobs"):
            await add(store, "a4")
        assert await add(store, "b1", "b2", "b3", owner="B") == [True] * 3
        assert await add(store, "n1", "n2", "n3", "n4", owner=None) == [True] * 4
        assert (await store.find(ALL, None, 10)).total == 10

    async def test_all_together_have_no_more_queued_than_may_be(self, store: Store) -> None:
        limits = QueueLimits(in_all=3)
        await add(store, "a1", "a2", limits=limits)
        for ids in (["b1", "b2"], ["b1", "b2", "b3", "b4"]):
            with pytest.raises(Saturated, match=r"the queue is full \(MAX_QUEUED_JOBS\)"):
                await add(store, *ids, owner=None, limits=limits)
        assert await add(store, "b1", owner=None, limits=limits) == [True]
        await run(store, "a1")
        with pytest.raises(Saturated):
            await add(store, "b2", "b3", limits=limits)
        await add(store, "b2", limits=limits)
        with pytest.raises(Saturated):
            await retry(store, "a1", limits)

    async def test_of_many_that_come_at_once_as_many_as_there_is_room_for_are_taken(self, store: Store) -> None:
        answers = await asyncio.gather(*(add(store, f"a{n}") for n in range(20)), return_exceptions=True)
        assert [isinstance(answer, Saturated) for answer in answers] == [False] * 3 + [True] * 17
        assert (await store.find(ALL, None, 20)).total == 3

    async def test_whatever_leaves_or_enters_the_line_counts(self, store: Store) -> None:
        await add(store, "a1", "a2", "a3")
        lease = await claim_one(store, "a1")
        await add(store, "a4")
        with pytest.raises(Saturated):
            await add(store, "a5")
        await store.change("a1", settled(Postpone(timedelta(0), "later")), lease=lease)
        await store.change("a2", by(state.cancel, NOW))
        with pytest.raises(Saturated):
            await add(store, "a5")
        await store.change("a3", by(state.cancel, NOW))
        assert await add(store, "a5") == [True]

    async def test_a_retry_takes_the_room_of_a_new_job(self, store: Store) -> None:
        await add(store, "a1")
        await run(store, "a1")
        await add(store, "a2", "a3")
        await store.change("a2", by(state.cancel, NOW))
        assert (await retry(store, "a1")).status is Status.QUEUED
        assert (await retry(store, "a2")).status is Status.QUEUED
        await store.change("a3", by(state.cancel, NOW))
        await add(store, "a4")
        for again in (retry(store, "a3"), add(store, "a5")):
            with pytest.raises(Saturated, match="3 jobs"):
                await again
        assert (await store.get("a3")).status is Status.CANCELLED

    async def test_what_is_there_already_needs_no_room(self, store: Store) -> None:
        named = [new(id, owner="A", idempotency=Idempotency(key, b"1")) for id, key in (("a1", "x"), ("a2", "y"))]
        await store.add(named, THREE)
        await submit(store, "a3", owner="A", dedupe_key="work")
        again = [new("b1", owner="A", idempotency=Idempotency("x", b"1")), new("b2", owner="A", dedupe_key="work")]
        assert [(job.id, created) for job, created in await store.add(again, THREE)] == [("a1", False), ("a3", False)]
        assert [created for _, created in await store.add(again, QueueLimits(in_all=1, of_one=1))] == [False, False]
        with pytest.raises(Saturated):
            await store.add([*again, new("b3", owner="A")], THREE)
        assert (await store.find(ALL, None, 20)).total == 3
