"""Conformance tests of submitting: all or none, numbered, and one job per key."""

from datetime import timedelta

import pytest

from secondunit.queue import state
from secondunit.queue.errors import JobNotFound, KeyReused
from secondunit.queue.model import Idempotency, Status, Target
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.store import Store
from secondunit.queue.value import replace
from secondunit.testing.jobs import ALL, BOOT, NOW, TTL, by, claim, claim_one, end, later, listened, names, new, submit

KEY = Idempotency("key-1", b"digest")
OTHER = Idempotency("key-1", b"another")
DAY = 24 * 3600


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

    async def test_a_refused_batch_leaves_no_gap_in_the_numbers(self, store: Store) -> None:
        await submit(store, "a", idempotency=KEY)
        with pytest.raises(KeyReused):
            await store.add([new("b"), new("c", idempotency=OTHER)])
        [job] = await submit(store, "d")
        assert job.seq == 2
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
