"""Conformance tests of steps and cached results: stored at once with the job's move, fenced, never half."""

from functools import partial

import pytest

from secondunit.queue import state
from secondunit.queue.durable_files import Marks
from secondunit.queue.errors import LeaseLost
from secondunit.queue.model import Change, Job, Lease
from secondunit.queue.ports.cache import CacheEntry
from secondunit.queue.store import Step, Store
from secondunit.testing.jobs import NOW, by, claim_one, end, later, start, start_suspect


def done(seconds: float = 0) -> partial[Change]:
    """The move of a job whose step is done."""
    return partial(state.step_done, now=later(seconds))


class StepContract:
    """Steps: results and intents."""

    async def test_a_finished_step_keeps_its_result(self, store: Store) -> None:
        lease = await start(store, "a")
        result = {"places": [{"lat": 1.5, "tags": []}], "none": None}
        job = await store.steps.finish(lease, "geocode", result, done(3), later(3))
        assert job == await store.get("a")
        assert job.updated_at == later(3)
        assert await store.steps.get("a", "geocode") == Step("a", "geocode", True, result, 0, later(3))

    async def test_a_step_keeps_what_its_files_are_known_by(self, store: Store) -> None:
        lease = await start(store, "a")
        marks: Marks = {"/work/a/kept/video.mp4": [123456789012, "0f" * 32], "/releases/1": [0, ""]}
        await store.steps.finish(lease, "s", "video.mp4", done(3), later(3), files=marks)
        assert (await store.steps.of_job("a"))[0].files == marks
        await store.steps.intend(lease, "s", later(4))
        assert (await store.steps.of_job("a"))[0].files is None
        await store.steps.finish(lease, "s", "video.mp4", done(5), later(5), files=marks)
        await store.steps.finish(lease, "s", "none", done(6), later(6))
        assert (await store.steps.of_job("a"))[0].files is None

    @pytest.mark.parametrize("result", [None, 0, "", [], False])
    async def test_an_empty_result_is_a_result(self, store: Store, result: object) -> None:
        lease = await start(store, "a")
        await store.steps.finish(lease, "s", result, done(), NOW)
        assert await store.steps.get("a", "s") == Step("a", "s", True, result, 0, NOW)

    async def test_a_step_that_was_not_begun_is_not_there(self, store: Store) -> None:
        lease = await start(store, "a")
        await store.steps.finish(lease, "s", 1, done(), NOW)
        assert await store.steps.get("a", "t") is None
        assert await store.steps.get("b", "s") is None

    async def test_steps_outlive_the_run(self, store: Store) -> None:
        lease = await start(store, "a")
        await store.steps.finish(lease, "s", 1, done(), NOW)
        await store.change("a", by(state.expire, later(31)))
        await claim_one(store, "a", at=later(31))
        step = await store.steps.get("a", "s")
        assert step is not None and step.done

    async def test_a_finished_step_clears_the_count_of_reclaims(self, store: Store) -> None:
        await start(store, "a")
        await store.change("a", by(state.bury, 0, True, later(31)))
        lease = await start_suspect(store, "a", at=later(31))
        assert (await store.get("a")).reclaims == 1
        await store.steps.finish(lease, "s", 1, done(32), later(32))
        assert (await store.get("a")).reclaims == 0

    async def test_an_intent_is_in_doubt_until_it_is_finished(self, store: Store) -> None:
        lease = await start(store, "a")
        assert await store.steps.intend(lease, "paid", later(1)) == Step("a", "paid", False, None, 1, later(1))
        assert await store.steps.intend(lease, "paid", later(2)) == Step("a", "paid", False, None, 2, later(2))
        await store.steps.finish(lease, "paid", 7, done(3), later(3))
        assert await store.steps.get("a", "paid") == Step("a", "paid", True, 7, 2, later(3))

    async def test_an_intent_outlives_the_run(self, store: Store) -> None:
        lease = await start(store, "a")
        await store.steps.intend(lease, "paid", NOW)
        await store.change("a", by(state.expire, later(31)))
        again = await claim_one(store, "a", at=later(31))
        assert (await store.steps.intend(again, "paid", later(32))).sends == 2

    async def test_a_withdrawn_intent_does_not_count(self, store: Store) -> None:
        lease = await start(store, "a")
        await store.steps.intend(lease, "paid", NOW)
        await store.steps.intend(lease, "paid", later(1))
        await store.steps.forget(lease, "paid")
        step = await store.steps.get("a", "paid")
        assert step is not None and (step.done, step.sends) == (False, 1)
        await store.steps.forget(lease, "paid")
        left = await store.steps.get("a", "paid")
        assert left is None or (left.done, left.sends) == (False, 0)
        assert (await store.steps.intend(lease, "paid", later(2))).sends == 1

    async def test_steps_of_a_job_are_its_own(self, store: Store) -> None:
        first, second = await start(store, "a"), await start(store, "b")
        await store.steps.finish(first, "s", 1, done(), NOW)
        await store.steps.intend(first, "t", NOW)
        await store.steps.finish(second, "s", 2, done(), NOW)
        assert sorted((step.name, step.done, step.result) for step in await store.steps.of_job("a")) == [
            ("s", True, 1),
            ("t", False, None),
        ]
        assert [step.result for step in await store.steps.of_job("b")] == [2]

    @pytest.mark.parametrize("loss", ["expired", "another boot", "ended"])
    async def test_a_lost_lease_cannot_touch_steps(self, store: Store, loss: str) -> None:
        lease = await start(store, "a")
        await store.steps.intend(lease, "paid", NOW)
        if loss == "expired":
            await store.change("a", by(state.expire, later(31)))
            await claim_one(store, "a", at=later(31))
        elif loss == "ended":
            await store.change("a", by(state.cancel, NOW))
            await store.change("a", by(state.expire, NOW))
        stale = Lease("a", lease.epoch, "boot-2", lease.until) if loss == "another boot" else lease
        job = await store.get("a")
        with pytest.raises(LeaseLost):
            await store.steps.intend(stale, "paid", later(40))
        with pytest.raises(LeaseLost):
            await store.steps.finish(stale, "paid", 1, done(40), later(40))
        with pytest.raises(LeaseLost):
            await store.steps.forget(stale, "paid")
        assert list(await store.steps.of_job("a")) == [Step("a", "paid", False, None, 1, NOW)]
        assert await store.get("a") == job

    async def test_a_refused_finish_stores_no_result(self, store: Store) -> None:
        lease = await start(store, "a")

        def refuse(job: Job) -> Change:
            raise ValueError(job.id)

        with pytest.raises(ValueError, match="a"):
            await store.steps.finish(lease, "s", 1, refuse, NOW)
        assert await store.steps.get("a", "s") is None

    async def test_a_result_that_cannot_be_stored_leaves_the_job_as_it_was(self, store: Store) -> None:
        await start(store, "a")
        await store.change("a", by(state.expire, later(31)))
        lease = await claim_one(store, "a", at=later(31))
        before = await store.get("a")
        try:
            await store.steps.finish(lease, "s", object(), done(40), later(40))
        except (TypeError, ValueError):
            assert await store.get("a") == before
            assert await store.steps.get("a", "s") is None
        else:
            assert (await store.get("a")).reclaims == 0

    async def test_a_step_done_again_has_its_new_result(self, store: Store) -> None:
        lease = await start(store, "a")
        await store.steps.finish(lease, "s", 1, done(), NOW)
        await store.steps.finish(lease, "s", 2, done(1), later(1))
        assert await store.steps.get("a", "s") == Step("a", "s", True, 2, 0, later(1))


class CacheContract:
    """Results by key."""

    async def test_an_entry_lives_until_its_time(self, store: Store) -> None:
        await end(store, "a")
        entry = CacheEntry("video/strategy", {"recipe": [1, None]}, "a", NOW, later(60))
        await store.cache.put(entry)
        assert await store.cache.get("video/strategy", later(59)) == entry
        assert await store.cache.get("video/strategy", later(60)) is None
        assert await store.cache.get("another", NOW) is None

    async def test_a_later_entry_replaces_the_one_before(self, store: Store) -> None:
        await end(store, "a")
        await end(store, "b")
        await store.cache.put(CacheEntry("k", 1, "a", NOW, later(60)))
        entry = CacheEntry("k", 2, "b", later(5), later(90))
        await store.cache.put(entry)
        assert await store.cache.get("k", later(70)) == entry

    async def test_a_dropped_entry_is_gone(self, store: Store) -> None:
        await end(store, "a")
        await store.cache.put(CacheEntry("k", 1, "a", NOW, later(60)))
        await store.cache.put(CacheEntry("l", None, "a", NOW, later(60)))
        await store.cache.drop("k")
        await store.cache.drop("never there")
        assert await store.cache.get("k", NOW) is None
        left = await store.cache.get("l", NOW)
        assert left is not None and left.value is None
