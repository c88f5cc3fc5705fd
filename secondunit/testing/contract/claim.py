"""Conformance tests of claiming: the right jobs, in the right order, each to one claimer."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from secondunit.queue import state
from secondunit.queue.model import Status
from secondunit.queue.outcome import Postpone, Released
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.store import Store
from secondunit.queue.value import replace
from secondunit.testing.jobs import (
    ALL,
    BOOT,
    FLAKY,
    NOW,
    TTL,
    by,
    claim,
    claim_one,
    end,
    held,
    later,
    listened,
    new,
    settled,
    start,
    submit,
)


class ClaimContract:
    """Order, room, delay and aging."""

    async def test_first_come_first_served(self, store: Store) -> None:
        await submit(store, "c", "a", "b")
        assert [job.id for job in await claim(store)] == ["c", "a", "b"]

    async def test_a_job_that_is_hastened_is_claimed_before_its_time_and_is_due_no_more(self, store: Store) -> None:
        await submit(store, "b")
        [job] = await submit(store, "a", run_at=later(3600))
        assert await store.next_due([job.type]) == later(3600)
        await store.change("a", lambda job: state.hasten(job, later(2)))
        assert [job.id for job in await claim(store, at=later(3))] == ["b", "a"]
        assert await store.next_due([job.type]) is None

    async def test_a_lower_number_goes_first(self, store: Store) -> None:
        for job_id, priority in [("a", 3), ("b", 0), ("c", 4), ("d", 1), ("e", 0)]:
            await submit(store, job_id, priority=priority)
        assert [job.id for job in await claim(store)] == ["b", "e", "d", "a", "c"]

    async def test_a_small_room_takes_the_first_in_order(self, store: Store) -> None:
        for job_id, priority in [("a", 3), ("b", 2), ("c", 2), ("d", 0), ("e", 3)]:
            await submit(store, job_id, priority=priority)
        taken = [[job.id for job in await claim(store, 2)] for _ in range(3)]
        assert taken == [["d", "b"], ["c", "a"], ["e"]]

    async def test_order_holds_across_types(self, store: Store) -> None:
        for job_id, type, priority in [("a", "hls", 3), ("b", "webp", 2), ("c", "hls", 1), ("d", "webp", 3)]:
            await submit(store, job_id, type=type, priority=priority)
        room = {"hls": 5, "webp": 5}
        taken = [[job.id for job in await store.claim(room, 2, BOOT, TTL, NOW)] for _ in range(2)]
        assert taken == [["c", "b"], ["a", "d"]]

    async def test_no_type_gets_more_than_its_room(self, store: Store) -> None:
        await submit(store, *"abcd", type="hls", priority=0)
        await submit(store, *"efgh", type="webp", priority=4)
        claimed = await store.claim({"hls": 2, "webp": 1}, 10, BOOT, TTL, NOW)
        assert [job.id for job in claimed] == ["a", "b", "e"]

    async def test_no_more_are_claimed_than_the_limit(self, store: Store) -> None:
        await submit(store, *"abc")
        assert [job.id for job in await store.claim({"hls": 3}, 2, BOOT, TTL, NOW)] == ["a", "b"]
        assert list(await store.claim({"hls": 3}, 0, BOOT, TTL, NOW)) == []

    async def test_types_without_room_are_left_alone(self, store: Store) -> None:
        await submit(store, "a", type="hls", priority=0)
        await submit(store, "b", type="webp")
        assert [job.id for job in await store.claim({"webp": 1, "hls": 0}, 9, BOOT, TTL, NOW)] == ["b"]
        assert list(await store.claim({"webp": 1}, 9, BOOT, TTL, NOW)) == []
        assert list(await store.claim({}, 9, BOOT, TTL, NOW)) == []
        assert (await store.get("a")).status is Status.QUEUED

    async def test_a_claimed_job_is_as_start_says(self, store: Store) -> None:
        before = dict(zip("ab", await submit(store, "a", "b", labels={"x": "y"}, run_at=later(1)), strict=True))
        claimed = await claim(store, at=later(2))
        assert claimed == [state.start(before[id], BOOT, TTL, later(2)).job for id in "ab"]
        assert [await store.get(id) for id in "ab"] == claimed

    async def test_a_job_claimed_again_is_as_start_says(self, store: Store) -> None:
        lease = await start(store, "a")
        await store.change("a", by(state.progress, 0.5, "half", "main", later(1)), lease=lease)
        waiting = await store.change("a", settled(FLAKY, later(2)), lease=lease)
        assert waiting.run_at is not None
        [job] = await claim(store, at=waiting.run_at, boot="boot-2")
        assert job == state.start(waiting, "boot-2", TTL, waiting.run_at).job

    async def test_started_events_come_in_claim_order_as_start_says(self, store: Store) -> None:
        heard = listened(store)
        before = {job.id: job for id, p in [("a", 2), ("b", 0)] for job in await submit(store, id, priority=p)}
        await claim(store, at=later(1))
        expected = [state.start(before[id], BOOT, TTL, later(1)).event for id in "ba"]
        assert [replace(event, seq=0) for event in heard[2:]] == expected
        assert [event.seq for event in heard] == [1, 2, 3, 4]

    async def test_a_running_or_ended_job_is_not_claimed(self, store: Store) -> None:
        await end(store, "a")
        await start(store, "b")
        assert await claim(store, at=later(1000)) == []

    async def test_claims_at_the_same_time_share_no_job(self, store: Store) -> None:
        await submit(store, *[f"j{n:02}" for n in range(30)])
        taken = await asyncio.gather(*[claim(store, 3) for _ in range(12)])
        counts = Counter(job.id for jobs in taken for job in jobs)
        assert len(counts) == 30 and set(counts.values()) == {1}

    async def test_a_delayed_job_waits_for_its_time(self, store: Store) -> None:
        assert await claim(store) == []  # by now the store may know that nothing is delayed
        await submit(store, "a", run_at=later(60))
        assert await claim(store, at=later(59.999999)) == []
        assert [job.id for job in await claim(store, at=later(60))] == ["a"]

    async def test_a_delayed_job_that_is_due_takes_its_place(self, store: Store) -> None:
        await submit(store, "a", run_at=later(10))
        await submit(store, "b", run_at=later(10), priority=0)
        await submit(store, "c")
        assert [job.id for job in await claim(store, 1)] == ["c"]
        await submit(store, "d")
        assert [job.id for job in await claim(store, at=later(10))] == ["b", "a", "d"]

    async def test_a_postponed_job_waits_for_its_time(self, store: Store) -> None:
        lease = await start(store, "a")
        await store.change("a", settled(Postpone(timedelta(seconds=90), "quota")), lease=lease)
        assert await claim(store, at=later(89)) == []
        assert [job.id for job in await claim(store, at=later(90))] == ["a"]

    async def test_a_released_job_keeps_its_place(self, store: Store) -> None:
        lease = await start(store, "a")
        await submit(store, "b")
        await store.change("a", settled(Released("drain"), later(5)), lease=lease)
        assert [job.id for job in await claim(store, at=later(5))] == ["a", "b"]

    @pytest.mark.parametrize("way", ["release", "expire", "recover", "retry"])
    async def test_an_epoch_is_never_used_again(self, store: Store, way: str) -> None:
        lease = await start(store, "a")
        match way:
            case "release":
                await store.change("a", settled(Released("drain")), lease=lease)
            case "expire":
                await store.change("a", by(state.expire, NOW))
            case "recover":
                await store.change("a", by(state.recover, NOW))
            case "retry":
                await store.change("a", by(state.cancel, NOW))
                await store.change("a", by(state.expire, NOW))
                await store.change("a", by(state.retry, NOW))
        assert (await claim_one(store, "a")).epoch > lease.epoch

    async def test_the_next_due_time_is_the_earliest_of_these_types(self, store: Store) -> None:
        assert await store.next_due(["hls"]) is None
        await submit(store, "a", run_at=later(30))
        await submit(store, "b", run_at=later(20))
        await submit(store, "c", run_at=later(10), type="webp")
        await submit(store, "d")
        assert await store.next_due(["hls"]) == later(20)
        assert await store.next_due(["hls", "webp"]) == later(10)
        assert await store.next_due(["download"]) is None
        assert await store.next_due([]) is None

    async def test_a_delayed_job_that_ended_or_began_is_not_due(self, store: Store) -> None:
        await submit(store, "a", "b", run_at=later(30))
        await store.change("a", by(state.cancel, NOW))
        await claim_one(store, "b", at=later(30))
        assert await store.next_due(["hls"]) is None

    async def test_a_job_that_waited_goes_before_younger_ones_of_a_higher_priority(self, store: Store) -> None:
        await submit(store, "a", priority=3)
        step = timedelta(minutes=10)
        assert await store.age(later(599), step, 100) == 0
        assert await store.age(later(600), step, 100) == 1
        await submit(store, "b", priority=2, at=later(600))
        await submit(store, "c", priority=1, at=later(600))
        assert [job.id for job in await claim(store, at=later(601))] == ["c", "a", "b"]

    async def test_aging_never_changes_the_priority_shown(self, store: Store) -> None:
        [before] = await submit(store, "a", priority=3)
        await store.age(later(600), timedelta(minutes=10), 100)
        assert await store.get("a") == before
        [job] = await claim(store, at=later(601))
        assert job.priority == 3

    async def test_a_step_is_counted_once(self, store: Store) -> None:
        await submit(store, "a", priority=4)
        step = timedelta(minutes=10)
        assert [await store.age(later(at), step, 100) for at in (600, 601, 1199, 1200)] == [1, 0, 0, 1]

    async def test_aging_stops_at_the_highest_rank(self, store: Store) -> None:
        await submit(store, "a", priority=1)
        await submit(store, "b", priority=0)
        step = timedelta(minutes=10)
        assert [await store.age(later(600 * n), step, 100) for n in (1, 2, 3)] == [1, 0, 0]
        assert [job.id for job in await claim(store, at=later(2000))] == ["a", "b"]

    async def test_only_ready_jobs_age(self, store: Store) -> None:
        await submit(store, "a", run_at=later(1000), priority=4)
        await start(store, "b", priority=4)
        await end(store, "c", priority=4)
        assert await store.age(later(700), timedelta(minutes=10), 100) == 0

    async def test_a_sweep_raises_no_more_than_its_limit(self, store: Store) -> None:
        await submit(store, *"abc", priority=4)
        step = timedelta(minutes=10)
        assert [await store.age(later(600), step, 2) for _ in range(3)] == [2, 1, 0]

    async def test_one_more_caller_does_not_cost_a_job_its_rank(self, store: Store) -> None:
        await submit(store, "a", priority=3, dedupe_key="work")
        await store.age(later(600), timedelta(minutes=10), 100)
        await store.change("a", by(state.share, later(601)))
        await submit(store, "b", priority=2, at=later(601))
        assert [job.id for job in await claim(store, at=later(602))] == ["a", "b"]

    async def test_one_more_caller_does_not_make_a_due_job_wait(self, store: Store) -> None:
        await submit(store, "a", run_at=later(10), dedupe_key="work")
        assert list(await store.claim({"hls": 1}, 0, BOOT, TTL, later(20))) == []
        await store.change("a", by(state.share, later(21)))
        assert [job.id for job in await claim(store, at=later(21))] == ["a"]

    async def test_paused_types_are_remembered(self, store: Store) -> None:
        assert await store.paused() == frozenset()
        await store.pause("hls", True)
        await store.pause("hls", True)
        await store.pause("webp", True)
        await store.pause("webp", False)
        await store.pause("download", False)
        assert await store.paused() == {"hls"}

    async def test_counts_say_how_many_stand_where(self, store: Store) -> None:
        await end(store, "a")
        await end(store, "b", FLAKY, type="webp", retry=RetryPolicy(0))
        await start(store, "c")
        await submit(store, "d", at=later(7))
        await submit(store, "e", run_at=later(100))
        counts = await store.counts()
        assert {type: n for type, n in counts.queued.items() if n} == {"hls": 2}
        assert {type: n for type, n in counts.running.items() if n} == {"hls": 1}
        assert {type: n for type, n in counts.ended.items() if n} == {"hls": 1, "webp": 1}
        assert counts.oldest_ready == later(7)

    async def test_nothing_is_ready_in_an_empty_store(self, store: Store) -> None:
        assert (await store.counts()).oldest_ready is None
        assert (await store.find(ALL, None, 10)).total == 0

    async def test_a_claim_gives_the_lease_it_was_asked_for(self, store: Store) -> None:
        await store.add([new("a")])
        [job] = await claim(store, at=later(3), boot="boot-9")
        lease = held(job)
        assert (lease.job_id, lease.epoch, lease.boot, lease.until) == ("a", 1, "boot-9", later(33))
