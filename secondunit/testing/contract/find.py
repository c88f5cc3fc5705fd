"""Conformance tests of queries and pruning: pages newest first, and nothing forgotten that is still owed."""

from typing import Any

import pytest

from secondunit.queue import state
from secondunit.queue.errors import JobNotFound
from secondunit.queue.follow import each
from secondunit.queue.model import Batch, Filter, Idempotency, Status
from secondunit.queue.outcome import Completed
from secondunit.queue.ports.cache import CacheEntry
from secondunit.queue.store import PAGE, Store
from secondunit.queue.value import replace
from secondunit.testing.jobs import (
    ALL,
    BROKEN,
    CALLBACK,
    NOW,
    by,
    claim_one,
    end,
    later,
    names,
    new,
    prune_at,
    settled,
    start,
    submit,
)


async def found(store: Store, filter: Filter) -> str:
    """The ids of a first page, as one word; its total must be their number."""
    page = await store.find(filter, None, 100)
    assert (page.total, page.next_cursor) == (len(page.jobs), None)
    return "".join(job.id for job in page.jobs)


class FindContract:
    """Pages of jobs."""

    async def test_the_newest_come_first(self, store: Store) -> None:
        await submit(store, "b", "a", "c")
        page = await store.find(ALL, None, 10)
        assert [job.id for job in page.jobs] == ["c", "a", "b"]
        assert (page.total, page.next_cursor) == (3, None)

    async def test_jobs_on_a_page_are_the_jobs(self, store: Store) -> None:
        await end(store, "a", target=CALLBACK)
        await start(store, "b")
        assert list((await store.find(ALL, None, 10)).jobs) == [await store.get("b"), await store.get("a")]

    async def test_a_walk_goes_over_every_page_once(self, store: Store) -> None:
        ids = [f"j{n}" for n in range(2 * PAGE + 1)]
        await submit(store, *ids)
        await submit(store, "other", type="webp")
        assert [job.id async for job in each(store, Filter(types=["hls"]))] == ids[::-1]

    async def test_a_walk_meets_no_job_that_came_meanwhile(self, store: Store) -> None:
        await submit(store, *(f"j{n}" for n in range(PAGE + 1)))
        seen = 0
        async for job in each(store, ALL):
            await submit(store, f"new-{job.id}")
            seen += 1
        assert seen == PAGE + 1

    async def test_a_status_named_twice_is_meant_once(self, store: Store) -> None:
        await submit(store, "a", "b", "c")
        page = await store.find(Filter(statuses=[Status.QUEUED, Status.QUEUED]), None, 2)
        assert ([job.id for job in page.jobs], page.total) == (["c", "b"], 3)

    async def test_filters_can_be_combined(self, store: Store) -> None:
        await end(store, "a", type="hls")
        await end(store, "b", BROKEN, type="hls")
        await start(store, "c", type="hls")
        await end(store, "d", BROKEN, type="webp")
        await submit(store, "e", type="webp")
        await submit(store, "f", type="hls")
        failed, queued, running = Status.FAILED, Status.QUEUED, Status.RUNNING
        assert await found(store, ALL) == "fedcba"
        assert await found(store, Filter(statuses=[failed])) == "db"
        assert await found(store, Filter(statuses=[queued, running])) == "fec"
        assert await found(store, Filter(types=["hls"])) == "fcba"
        assert await found(store, Filter(types=["hls", "webp"])) == "fedcba"
        assert await found(store, Filter(types=["hls"], statuses=[failed, queued])) == "fb"
        assert await found(store, Filter(types=["hls", "webp"], statuses=[failed])) == "db"
        assert await found(store, Filter(ids=["a", "e", "nobody"])) == "ea"
        assert await found(store, Filter(ids=["a", "e"], statuses=[queued])) == "e"
        assert await found(store, Filter(ids=["a", "e"], types=["hls"])) == "a"
        assert await found(store, Filter(ids=["b", "c", "d"], types=["hls"], statuses=[failed])) == "b"
        assert await found(store, Filter(types=["download"])) == ""
        assert await found(store, Filter(statuses=[Status.CANCELLED])) == ""

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
    async def test_pages_follow_each_other_without_gap_or_repeat(self, store: Store, limit: int) -> None:
        await submit(store, *"abcdefg")
        seen: list[str] = []
        cursor: int | None = None
        for _ in range(8):
            page = await store.find(ALL, cursor, limit)
            assert page.total == 7 and len(page.jobs) <= limit
            seen += [job.id for job in page.jobs]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == list("gfedcba")

    async def test_a_full_last_page_is_the_last(self, store: Store) -> None:
        await submit(store, *"abcd")
        page = await store.find(ALL, None, 2)
        assert page.next_cursor is not None
        assert (await store.find(ALL, page.next_cursor, 2)).next_cursor is None

    async def test_jobs_submitted_meanwhile_do_not_move_the_pages(self, store: Store) -> None:
        await submit(store, *"abcd")
        page = await store.find(ALL, None, 2)
        await submit(store, *"ef")
        rest = await store.find(ALL, page.next_cursor, 10)
        assert [job.id for job in rest.jobs] == ["b", "a"]
        assert rest.total == 6

    async def test_filtered_pages_follow_each_other(self, store: Store) -> None:
        for n in range(9):
            await submit(store, f"j{n}", type="hls" if n % 3 else "webp")
        filter = Filter(types=["hls"], statuses=[Status.QUEUED])
        first = await store.find(filter, None, 4)
        rest = await store.find(filter, first.next_cursor, 4)
        assert [job.id for job in [*first.jobs, *rest.jobs]] == ["j8", "j7", "j5", "j4", "j2", "j1"]
        assert (first.total, rest.total, rest.next_cursor) == (6, 6, None)

    async def test_batches_are_listed_newest_first_all_or_those_of_one_owner(self, store: Store) -> None:
        for name, owner in (("b", "me"), ("a", None), ("d", "me"), ("c", "you")):
            await store.add([new(f"job {name}", batch=name)], batch=Batch(name, NOW, owner=owner))

        async def listed(*asked: Any) -> list[str]:
            return [one.id for one in await store.graph.batches(*asked)]

        assert await listed(None, None, 9) == ["c", "d", "a", "b"]
        assert (await listed(None, None, 2), await listed(None, "d", 2)) == (["c", "d"], ["a", "b"])
        assert (await listed("me", None, 9), await listed("me", "d", 9), await listed("it", None, 9)) == (
            ["d", "b"],
            ["b"],
            [],
        )
        assert await listed(None, "gone", 9) == []


class PruneContract:
    """Forgetting what has outlived its time."""

    async def test_ended_jobs_go_with_all_that_is_theirs(self, store: Store) -> None:
        lease = await start(store, "a", target=CALLBACK)
        await store.steps.finish(lease, "s", 1, lambda job: state.step_done(job, NOW), NOW)
        await store.change("a", settled(Completed(1), later(5)), lease=lease)
        [row] = await store.outbox.of_job("a")
        await store.outbox.change(row.id, lambda row: replace(row, state="delivered", next_at=None, finished_at=NOW))
        assert list(await store.prune(prune_at(later(6)))) == ["a"]
        with pytest.raises(JobNotFound):
            await store.get("a")
        with pytest.raises(KeyError):
            await store.outbox.get(row.id)
        assert await store.steps.get("a", "s") is None
        assert (await found(store, ALL), await names(store, "a")) == ("", [])
        assert not any((await store.counts()).ended.values())

    async def test_younger_jobs_stay(self, store: Store) -> None:
        await end(store, "a", at=later(1))
        await end(store, "b", at=later(9))
        assert list(await store.prune(prune_at(later(5)))) == ["a"]
        assert await found(store, ALL) == "b"

    async def test_failed_jobs_have_a_time_of_their_own(self, store: Store) -> None:
        await end(store, "a", at=later(1))
        await end(store, "b", BROKEN, at=later(1))
        await end(store, "c", BROKEN, at=later(9))
        assert list(await store.prune(prune_at(later(5), failed_before=later(1)))) == ["a"]
        assert list(await store.prune(prune_at(later(1), failed_before=later(5)))) == ["b"]

    async def test_live_jobs_stay(self, store: Store) -> None:
        await start(store, "a")
        await submit(store, "b")
        lease = await start(store, "c", type="webp")
        await store.change("c", settled(Completed(1)), lease=lease)
        await store.change("c", by(state.retry, NOW))
        assert list(await store.prune(prune_at(later(10**6)))) == []
        assert await found(store, ALL) == "cba"

    async def test_a_job_with_a_pending_delivery_stays(self, store: Store) -> None:
        await end(store, "a", target=CALLBACK)
        await end(store, "b", target=CALLBACK)
        [row] = await store.outbox.of_job("b")
        await store.outbox.change(row.id, lambda row: replace(row, state="dead", next_at=None, finished_at=later(1)))
        assert list(await store.prune(prune_at(later(10**6)))) == ["b"]
        assert [delivery.notice.job_id for delivery in (await store.outbox.due(later(10**6), 10))[0]] == ["a"]

    async def test_a_job_whose_result_is_cached_stays(self, store: Store) -> None:
        await end(store, "a")
        await store.cache.put(CacheEntry("k", 1, "a", NOW, later(100)))
        assert list(await store.prune(prune_at(later(50)))) == []
        assert await store.cache.get("k", later(50)) is not None
        assert list(await store.prune(prune_at(later(101)))) == ["a"]

    async def test_expired_entries_go(self, store: Store) -> None:
        await start(store, "a")
        await store.cache.put(CacheEntry("k", 1, "a", NOW, later(100)))
        await store.cache.put(CacheEntry("l", 1, "a", NOW, later(200)))
        await store.prune(prune_at(later(150)))
        assert await store.cache.get("k", NOW) is None
        assert await store.cache.get("l", NOW) is not None

    async def test_expired_keys_go_and_live_ones_stay(self, store: Store) -> None:
        await submit(store, "a", idempotency=Idempotency("old", b"1"))
        await submit(store, "b", idempotency=Idempotency("young", b"2"), at=later(3600))
        await store.prune(prune_at(later(24 * 3600 + 1)))
        assert await store.known("old", NOW) is None
        assert await store.known("young", later(24 * 3600 + 1)) == ("b", b"2")

    async def test_the_key_of_a_forgotten_job_stands_for_nothing(self, store: Store) -> None:
        await end(store, "a", idempotency=Idempotency("key", b"1"))
        assert list(await store.prune(prune_at(later(3600)))) == ["a"]
        assert await store.known("key", later(3600)) is None
        [(job, created)] = await store.add([new("b", idempotency=Idempotency("key", b"2"), at=later(3600))])
        assert (job.id, created) == ("b", True)

    async def test_no_more_go_than_the_limit(self, store: Store) -> None:
        for n in range(5):
            await end(store, f"j{n}", at=later(n))
        gone = [await store.prune(prune_at(later(100), limit=2)) for _ in range(4)]
        assert [len(ids) for ids in gone] == [2, 2, 1, 0]
        assert {id for ids in gone for id in ids} == {f"j{n}" for n in range(5)}

    async def test_events_of_other_jobs_stay(self, store: Store) -> None:
        await submit(store, "a", type="webp")
        await end(store, "b", at=later(1))
        await end(store, "c", at=later(99))
        await store.prune(prune_at(later(50)))
        assert [event.job_id for event in await store.events(0, ALL, 100)] == ["a", "c", "c", "c"]

    async def test_the_log_says_from_where_it_is_whole(self, store: Store) -> None:
        await submit(store, "a", type="webp")
        await end(store, "b", at=later(1))
        await end(store, "c", at=later(99))
        await store.prune(prune_at(later(50)))
        assert await store.event_bounds() == (5, 7)
        await store.prune(prune_at(later(100)))
        assert await store.event_bounds() == (8, 7)

    async def test_numbers_of_events_are_not_used_again(self, store: Store) -> None:
        await end(store, "a")
        await store.prune(prune_at(later(100)))
        assert await store.event_bounds() == (4, 3)
        await submit(store, "b", at=later(100))
        assert [event.seq for event in await store.events(0, ALL, 10)] == [4]

    async def test_a_retried_job_is_judged_by_its_last_end(self, store: Store) -> None:
        await end(store, "a", at=later(1))
        await store.change("a", by(state.retry, later(20)))
        lease = await claim_one(store, "a", at=later(21))
        await store.change("a", settled(Completed(1), later(22)), lease=lease)
        assert list(await store.prune(prune_at(later(10)))) == []
