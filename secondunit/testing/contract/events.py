"""Conformance tests of events: numbered at commit, in order, without gap, told to listeners after it."""

import asyncio

import pytest

from secondunit.queue import state
from secondunit.queue.errors import NotAllowed
from secondunit.queue.model import Change, Filter
from secondunit.queue.outcome import Completed
from secondunit.queue.store import Store
from secondunit.queue.value import replace
from secondunit.testing.jobs import (
    ALL,
    BROKEN,
    CALLBACK,
    FLAKY,
    NOW,
    by,
    claim,
    end,
    later,
    listened,
    names,
    new,
    settled,
    start,
    start_suspect,
    submit,
)


class EventContract:
    """The event log and its listeners."""

    async def test_an_event_comes_back_as_it_was_decided(self, store: Store) -> None:
        lease = await start(store, "a", type="webp")
        await store.change("a", by(state.progress, 0.5, "half", "main", later(1)), lease=lease)
        decided = settled(BROKEN, later(2))(await store.get("a")).event
        await store.change("a", settled(BROKEN, later(2)), lease=lease)
        [event] = await store.events(2, ALL, 10)
        assert decided is not None
        assert event == replace(decided, seq=3)

    async def test_a_waiting_job_says_until_when(self, store: Store) -> None:
        lease = await start(store, "a")
        job = await store.change("a", settled(FLAKY, later(2)), lease=lease)
        [event] = await store.events(2, ALL, 10)
        assert (event.name, event.run_at, event.attempt) == ("retrying", job.run_at, 2)

    async def test_numbers_follow_each_other_without_a_gap(self, store: Store) -> None:
        heard = listened(store)
        await submit(store, "a", "b")
        for job in await claim(store):
            with pytest.raises(NotAllowed):
                await store.change(job.id, by(state.retry, NOW))
            await store.change(job.id, settled(Completed(1)), lease=job.lease)
        assert [event.seq for event in heard] == [1, 2, 3, 4, 5, 6]
        assert await store.event_bounds() == (1, 6)

    async def test_listeners_hear_what_the_log_keeps(self, store: Store) -> None:
        heard, also = listened(store), listened(store)
        await end(store, "a")
        await store.change("a", by(state.retry, later(5)))
        await end(store, "b", FLAKY, type="webp")
        assert heard == also == list(await store.events(0, ALL, 100))
        assert [event.name for event in heard] == "queued started completed queued queued started retrying".split()

    async def test_listeners_hear_every_number_in_order_among_many_writes(self, store: Store) -> None:
        heard = listened(store)
        await asyncio.gather(*[store.add([new(f"j{n}", dedupe_key=f"w{n % 13}")]) for n in range(40)])
        jobs = await claim(store, 40)
        moves = [store.change(job.id, by(state.progress, 0.1, "", None, NOW), lease=job.lease) for job in jobs]
        ends = [store.change(job.id, settled(Completed(1)), lease=job.lease) for job in jobs]
        await asyncio.gather(*moves, *ends)
        assert [event.seq for event in heard] == list(range(1, 40))
        assert heard == list(await store.events(0, ALL, 100))

    async def test_a_write_is_heard_by_the_time_its_caller_knows(self, store: Store) -> None:
        heard = listened(store)
        await submit(store, "a")
        assert [event.name for event in heard] == ["queued"]
        await claim(store)
        assert [event.name for event in heard] == ["queued", "started"]

    async def test_moves_without_an_event_are_not_heard(self, store: Store) -> None:
        lease = await start(store, "a")
        heard = listened(store)
        await store.change("a", by(state.progress, 0.5, "half", None, NOW), lease=lease)
        await store.change("a", by(state.with_stats, {"n": 1}, NOW), lease=lease)
        await store.change("a", Change)
        assert (heard, await store.event_bounds()) == ([], (1, 2))

    async def test_replay_begins_after_the_last_one_seen(self, store: Store) -> None:
        await submit(store, *"abcdef")
        assert [event.seq for event in await store.events(2, ALL, 100)] == [3, 4, 5, 6]
        assert [event.seq for event in await store.events(2, ALL, 3)] == [3, 4, 5]
        assert list(await store.events(6, ALL, 100)) == []
        assert list(await store.events(99, ALL, 100)) == []

    async def test_replay_can_be_limited_to_types_and_jobs(self, store: Store) -> None:
        await submit(store, "a", "b", type="hls")
        await submit(store, "c", "d", type="webp")
        await claim(store, 1, type="webp")

        async def replayed(after: int, limit: int = 9, **fields: list[str]) -> list[int]:
            return [event.seq for event in await store.events(after, Filter(**fields), limit)]  # type: ignore[arg-type]

        assert await replayed(0, types=["webp"]) == [3, 4, 5]
        assert await replayed(3, types=["webp", "hls"]) == [4, 5]
        assert await replayed(0, ids=["c"]) == [3, 5]
        assert await replayed(0, ids=["a", "c"]) == [1, 3, 5]
        assert await replayed(0, ids=["a", "c"], types=["hls"]) == [1]
        assert await replayed(0, types=["webp"], limit=2) == [3, 4]
        assert await replayed(0, ids=["a", "c"], limit=2) == [1, 3]
        assert await replayed(0, ids=["nobody"]) == []

    async def test_an_empty_log_says_so(self, store: Store) -> None:
        assert await store.event_bounds() == (1, 0)
        assert list(await store.events(0, ALL, 10)) == []

    async def test_the_generation_stays_the_same(self, store: Store) -> None:
        before = store.generation
        await end(store, "a")
        assert before and store.generation == before

    async def test_an_end_has_one_event_however_the_job_ended(self, store: Store) -> None:
        await end(store, "done")
        await end(store, "broken", BROKEN)
        await submit(store, "unwanted")
        await store.change("unwanted", by(state.cancel, NOW))
        await start(store, "poison", target=CALLBACK)
        for n in range(state.POISON_AFTER):
            await store.change("poison", by(state.bury, 0, True, later(n)))
            if n < state.POISON_AFTER - 1:
                await start_suspect(store, "poison", at=later(n))
        assert await names(store, "done") == ["queued", "started", "completed"]
        assert await names(store, "broken") == ["queued", "started", "failed"]
        assert await names(store, "unwanted") == ["queued", "cancelled"]
        assert await names(store, "poison") == "queued started queued started queued started failed".split()
