"""Conformance tests of submitting: all or none, numbered, one job per key, and no more than may wait."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from secondunit.queue import state
from secondunit.queue.errors import JobNotFound, KeyReused, Saturated
from secondunit.queue.model import Idempotency, Job, Status, Target
from secondunit.queue.outcome import Completed, Postpone
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.state import QueueLimits
from secondunit.queue.store import Store
from secondunit.queue.value import replace
from secondunit.testing.jobs import (
    ALL,
    BOOT,
    NOW,
    TTL,
    by,
    claim,
    claim_one,
    end,
    later,
    listened,
    names,
    new,
    settled,
    submit,
)

KEY = Idempotency("key-1", b"digest")
OTHER = Idempotency("key-1", b"another")
DAY = 24 * 3600
THREE = QueueLimits(of_one=3)


class AddContract:
    """Submitting, idempotency keys and dedupe keys."""

    async def test_a_job_comes_back_as_it_was_submitted(self, store: Store) -> None:
        change = new(
            "a",
            payload={"path": "/media/ä ö 'x'.mp4", "deep": [1, 2.5, None, True, {"k": []}], "big": 2**53},
            priority=4,
            retry=RetryPolicy(7, "fixed", timedelta(milliseconds=1500)),
            timeout=timedelta(minutes=90),
            run_at=later(0.000001),
            target=Target("backend", "http://127.0.0.1/v1"),
            idempotency=KEY,
            dedupe_key="work",
            source="backend",
            labels={"video": "v1"},
        )
        [(job, created)] = await store.add([change])
        assert created
        assert job == replace(change.job, seq=1)
        assert await store.get("a") == job

    async def test_jobs_are_numbered_in_the_order_of_submission(self, store: Store) -> None:
        first = await submit(store, "b", "a")
        second = await submit(store, "c")
        assert [job.seq for job in [*first, *second]] == [1, 2, 3]

    async def test_each_submitted_job_has_one_event(self, store: Store) -> None:
        await submit(store, "a", "b")
        events = await store.events(0, ALL, 10)
        assert [(event.seq, event.job_id, event.name) for event in events] == [(1, "a", "queued"), (2, "b", "queued")]

    async def test_an_empty_batch_does_nothing(self, store: Store) -> None:
        assert list(await store.add([])) == []
        assert await store.event_bounds() == (1, 0)

    async def test_an_unknown_job_is_not_found(self, store: Store) -> None:
        with pytest.raises(JobNotFound):
            await store.get("nobody")
        with pytest.raises(JobNotFound):
            await store.change("nobody", by(state.cancel, NOW))

    async def test_the_same_request_again_gets_the_same_job(self, store: Store) -> None:
        [first] = await submit(store, "a", idempotency=KEY)
        assert list(await store.add([new("b", idempotency=KEY)])) == [(first, False)]
        assert (await store.find(ALL, None, 10)).total == 1
        assert await names(store, "a") == ["queued"]

    async def test_a_key_with_another_request_is_refused(self, store: Store) -> None:
        await submit(store, "a", idempotency=KEY)
        with pytest.raises(KeyReused) as refusal:
            await store.add([new("b", idempotency=OTHER)])
        assert (refusal.value.key, refusal.value.job_id) == ("key-1", "a")

    async def test_a_refused_batch_leaves_nothing(self, store: Store) -> None:
        await submit(store, "a", idempotency=KEY)
        heard = listened(store)
        fresh = Idempotency("key-2", b"digest")
        batch = [new("b", idempotency=fresh, dedupe_key="work"), new("c", idempotency=OTHER), new("d")]
        with pytest.raises(KeyReused):
            await store.add(batch)
        assert [job.id for job in (await store.find(ALL, None, 10)).jobs] == ["a"]
        assert await store.known("key-2", NOW) is None
        assert await store.live_twin("work") is None
        assert (heard, await store.event_bounds()) == ([], (1, 1))
        assert [job.id for job in await claim(store)] == ["a"]

    async def test_a_refused_batch_leaves_no_gap_among_the_events(self, store: Store) -> None:
        await submit(store, "a", idempotency=KEY)
        with pytest.raises(KeyReused):
            await store.add([new("b"), new("c", idempotency=OTHER)])
        [job] = await submit(store, "d")
        assert job.seq >= 2, "jobs are numbered in order, maybe with gaps"
        assert await store.event_bounds() == (1, 2)

    async def test_a_key_twice_in_a_batch_makes_one_job(self, store: Store) -> None:
        answers = await store.add([new("a", idempotency=KEY), new("b", idempotency=KEY), new("c")])
        assert [(job.id, job.seq, created) for job, created in answers] == [
            ("a", 1, True),
            ("a", 1, False),
            ("c", 2, True),
        ]

    async def test_a_key_with_two_requests_in_a_batch_is_refused(self, store: Store) -> None:
        with pytest.raises(KeyReused):
            await store.add([new("a", idempotency=KEY), new("b", idempotency=OTHER)])
        assert (await store.find(ALL, None, 10)).total == 0

    async def test_a_key_outlives_the_end_of_its_job(self, store: Store) -> None:
        job = await end(store, "a", idempotency=KEY)
        assert list(await store.add([new("b", idempotency=KEY)])) == [(job, False)]
        with pytest.raises(KeyReused):
            await store.add([new("b", idempotency=OTHER)])

    async def test_a_key_lives_for_a_day(self, store: Store) -> None:
        await submit(store, "a", idempotency=KEY)
        assert await store.known("key-1", later(DAY - 1)) == ("a", b"digest")
        [(job, created)] = await store.add([new("b", idempotency=KEY, at=later(DAY - 1))])
        assert (job.id, created) == ("a", False)
        assert await store.known("key-1", later(DAY + 1)) is None
        [(job, created)] = await store.add([new("c", idempotency=OTHER, at=later(DAY + 1))])
        assert (job.id, created) == ("c", True)
        assert await store.known("key-1", later(DAY + 1)) == ("c", b"another")

    async def test_an_unknown_key_stands_for_nothing(self, store: Store) -> None:
        assert await store.known("key-1", NOW) is None

    async def test_the_same_work_while_it_lives_gives_the_live_job(self, store: Store) -> None:
        [waiting] = await submit(store, "a", dedupe_key="work")
        assert list(await store.add([new("b", dedupe_key="work")])) == [(waiting, False)]
        await claim_one(store, "a")
        [(running, created)] = await store.add([new("c", dedupe_key="work")])
        assert (running.id, running.status, created) == ("a", Status.RUNNING, False)
        assert await store.live_twin("work") == running

    async def test_a_repeated_submission_does_not_change_the_job(self, store: Store) -> None:
        [first] = await submit(store, "a", dedupe_key="work", idempotency=KEY)
        await store.add([new("b", dedupe_key="work", priority=0, at=later(5))])
        await store.add([new("c", idempotency=KEY, priority=0, at=later(5))])
        assert await store.get("a") == first

    @pytest.mark.parametrize("way", ["completed", "cancelled"])
    async def test_the_same_work_after_its_end_is_new(self, store: Store, way: str) -> None:
        if way == "completed":
            await end(store, "a", dedupe_key="work")
        else:
            await submit(store, "a", dedupe_key="work")
            await store.change("a", by(state.cancel, NOW))
        assert await store.live_twin("work") is None
        [(job, created)] = await store.add([new("b", dedupe_key="work")])
        assert (job.id, created) == ("b", True)
        twin = await store.live_twin("work")
        assert twin is not None and twin.id == "b"

    async def test_work_twice_in_a_batch_makes_one_job(self, store: Store) -> None:
        answers = await store.add([new("a", dedupe_key="work"), new("b", dedupe_key="work")])
        assert [(job.id, created) for job, created in answers] == [("a", True), ("a", False)]

    async def test_jobs_without_keys_have_nothing_in_common(self, store: Store) -> None:
        assert [job.id for job in await submit(store, "a", "b")] == ["a", "b"]

    async def test_a_key_is_judged_before_the_work(self, store: Store) -> None:
        await end(store, "a", idempotency=KEY)
        await submit(store, "b", dedupe_key="work")
        [(job, created)] = await store.add([new("c", idempotency=KEY, dedupe_key="work")])
        assert (job.id, created) == ("a", False)

    async def test_a_submitted_job_can_be_claimed_at_once(self, store: Store) -> None:
        await submit(store, "a")
        assert [job.id for job in await store.claim({"hls": 1}, 1, BOOT, TTL, NOW)] == ["a"]


async def _add(store: Store, *ids: str, owner: str | None = "A", limits: QueueLimits = THREE) -> Sequence[bool]:
    """Which of the jobs were new."""
    return [created for _, created in await store.add([new(id, owner=owner) for id in ids], limits)]


async def _retry(store: Store, id: str, limits: QueueLimits = THREE) -> Job:
    """Queue the ended job again."""
    return await store.change(id, by(state.retry, NOW), limits=limits)


async def _run(store: Store, id: str) -> None:
    """Run the job that is next in the line, to its end."""
    await store.change(id, settled(Completed({})), lease=await claim_one(store, id))


class LimitsContract:
    """No more jobs wait than may, of an owner and in all, however many come at once and by whichever way."""

    async def test_an_owner_has_no_more_queued_than_it_may_have(self, store: Store) -> None:
        await _add(store, "a1", "a2")
        with pytest.raises(Saturated, match="2 jobs of this key are queued and MAX_QUEUED_PER_KEY is 3"):
            await _add(store, "a3", "a4")
        await _add(store, "a3")
        with pytest.raises(Saturated, match="3 jobs"):
            await _add(store, "a4")
        assert await _add(store, "b1", "b2", "b3", owner="B") == [True] * 3
        assert await _add(store, "n1", "n2", "n3", "n4", owner=None) == [True] * 4
        assert (await store.find(ALL, None, 10)).total == 10

    async def test_all_together_have_no_more_queued_than_may_be(self, store: Store) -> None:
        limits = QueueLimits(in_all=3)
        await _add(store, "a1", "a2", limits=limits)
        for ids in (["b1", "b2"], ["b1", "b2", "b3", "b4"]):
            with pytest.raises(Saturated, match=r"the queue is full \(MAX_QUEUED_JOBS\)"):
                await _add(store, *ids, owner=None, limits=limits)
        assert await _add(store, "b1", owner=None, limits=limits) == [True]
        await _run(store, "a1")
        with pytest.raises(Saturated):
            await _add(store, "b2", "b3", limits=limits)
        await _add(store, "b2", limits=limits)
        with pytest.raises(Saturated):
            await _retry(store, "a1", limits)

    async def test_of_many_that_come_at_once_as_many_as_there_is_room_for_are_taken(self, store: Store) -> None:
        answers = await asyncio.gather(*(_add(store, f"a{n}") for n in range(20)), return_exceptions=True)
        assert [isinstance(answer, Saturated) for answer in answers] == [False] * 3 + [True] * 17
        assert (await store.find(ALL, None, 20)).total == 3

    async def test_whatever_leaves_or_enters_the_line_counts(self, store: Store) -> None:
        await _add(store, "a1", "a2", "a3")
        lease = await claim_one(store, "a1")
        await _add(store, "a4")
        with pytest.raises(Saturated):
            await _add(store, "a5")
        await store.change("a1", settled(Postpone(timedelta(0), "later")), lease=lease)
        await store.change("a2", by(state.cancel, NOW))
        with pytest.raises(Saturated):
            await _add(store, "a5")
        await store.change("a3", by(state.cancel, NOW))
        assert await _add(store, "a5") == [True]

    async def test_a_retry_takes_the_room_of_a_new_job(self, store: Store) -> None:
        await _add(store, "a1")
        await _run(store, "a1")
        await _add(store, "a2", "a3")
        await store.change("a2", by(state.cancel, NOW))
        assert (await _retry(store, "a1")).status is Status.QUEUED
        assert (await _retry(store, "a2")).status is Status.QUEUED
        await store.change("a3", by(state.cancel, NOW))
        await _add(store, "a4")
        for again in (_retry(store, "a3"), _add(store, "a5")):
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
