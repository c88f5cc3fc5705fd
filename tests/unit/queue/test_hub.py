"""Fan-out of events in the process, and following them from the table into the present."""

import asyncio
from contextlib import suppress

import pytest

from secondunit.queue import hub as hub_module
from secondunit.queue.follow import REPLAY_PAGE, Follow
from secondunit.queue.hub import Dropped, Hub, Subscription
from secondunit.queue.model import Event, EventName, Filter, Status
from secondunit.queue.outcome import Completed
from secondunit.testing.jobs import ALL, NOW, end, later, prune_at, submit
from secondunit.testing.rig import Numbered, Rig, spec


def event(job_id: str, name: EventName = "started", seq: int = 0, *, type: str = "hls", progress: float = 0.0) -> Event:
    return Event(job_id, type, name, NOW, Status.RUNNING, progress, seq=seq)


async def told(live: Subscription) -> list[Event]:
    """What waits for the reader."""
    events: list[Event] = []
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0):
                events.append(await live.next())
    return events


async def test_a_reader_gets_lifecycle_events_in_their_order() -> None:
    hub = Hub()
    sent = [event("a", "queued", 1), event("b", "queued", 2), event("a", "started", 3), event("a", "completed", 4)]
    with hub.subscribe(ALL) as live:
        hub.publish(sent[:2])
        hub.publish(sent[2:])
        assert await told(live) == sent


async def test_progress_is_coalesced_for_each_job() -> None:
    hub = Hub()
    with hub.subscribe(ALL) as live:
        for percent in range(100):
            hub.publish([event(job, "progress", progress=percent / 100) for job in "ab"])
        assert [(e.job_id, e.progress) for e in await told(live)] == [("a", 0.99), ("b", 0.99)]


async def test_progress_of_a_later_attempt_does_not_overtake_the_retry() -> None:
    hub = Hub()
    with hub.subscribe(ALL) as live:
        hub.publish([event("a", "progress", progress=0.9)])
        hub.publish([event("a", "retrying", 1), event("a", "started", 2)])
        hub.publish([event("a", "progress", progress=0.1)])
        assert [(e.name, e.progress) for e in await told(live)] == [("retrying", 0), ("started", 0), ("progress", 0.1)]


async def test_any_amount_of_progress_leaves_room_for_lifecycle_events() -> None:
    hub = Hub()
    with hub.subscribe(ALL, backlog=2) as live:
        for number in range(50):
            hub.publish([event(f"job{number}", "progress")])
        hub.publish([event("a", "queued", 1), event("a", "started", 2)])
        assert [e.name for e in await told(live)][-2:] == ["queued", "started"]


async def test_reading_makes_room_again() -> None:
    hub = Hub()
    with hub.subscribe(ALL, backlog=2) as live:
        for seq in range(1, 10):
            hub.publish([event("a", "progress"), event("a", seq=seq)])
            assert [e.seq for e in await told(live)] == [0, seq]


async def test_a_slow_reader_is_dropped_at_its_bound_and_told_so() -> None:
    hub, dropped = Hub(), asyncio.Event()
    with hub.subscribe(ALL, backlog=3, on_drop=dropped.set) as slow, hub.subscribe(ALL) as good:
        hub.publish([event("a", seq=seq) for seq in (1, 2, 3)])
        assert not dropped.is_set()
        hub.publish([event("a", seq=4)])
        assert dropped.is_set()
        with pytest.raises(Dropped):
            await slow.next()
        hub.publish([event("a", seq=5)])
        with pytest.raises(Dropped):
            await slow.next()
        assert [e.seq for e in await told(good)] == [1, 2, 3, 4, 5]


async def test_a_reader_that_waits_is_woken_by_an_event_and_by_being_dropped() -> None:
    hub = Hub()
    with hub.subscribe(ALL, backlog=0) as live:
        reading = asyncio.create_task(live.next())
        await asyncio.sleep(0)
        hub.publish([event("a", "progress")])
        assert (await reading).name == "progress"
        reading = asyncio.create_task(live.next())
        await asyncio.sleep(0)
        hub.publish([event("a", seq=1)])
        with pytest.raises(Dropped):
            await reading


async def test_cancelling_a_read_loses_nothing() -> None:
    hub = Hub()
    with hub.subscribe(ALL) as live:
        reading = asyncio.create_task(live.next())
        await asyncio.sleep(0)
        hub.publish([event("a", seq=1)])
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert (await live.next()).seq == 1


async def test_a_reader_sees_the_jobs_and_types_it_asked_for() -> None:
    hub = Hub()
    with (
        hub.subscribe(Filter(ids=["a", "b"])) as by_job,
        hub.subscribe(Filter(types=["webp"])) as by_type,
        hub.subscribe(Filter(ids=["a"], types=["webp"])) as both,
    ):
        hub.publish([event("a", seq=1), event("c", seq=2, type="webp"), event("b", seq=3), event("c", seq=4)])
        assert [e.seq for e in await told(by_job)] == [1, 3]
        assert [e.seq for e in await told(by_type)] == [2]
        assert await told(both) == []


async def test_readers_of_a_job_leave_nothing_behind() -> None:
    hub = Hub()
    with hub.subscribe(Filter(ids=["a", "a", "b"])):
        with hub.subscribe(Filter(ids=["a"])) as second:
            pass
        hub.publish([event("a", seq=1)])
        assert await told(second) == []
    with pytest.raises(RuntimeError), hub.subscribe(Filter(ids=["a"])):
        raise RuntimeError
    with hub.subscribe(ALL):
        pass
    assert (hub._by_job, hub._subscriptions) == ({}, set())


def test_taps_get_every_event_as_it_was_published() -> None:
    hub, heard = Hub(), list[list[Event]]()
    hub.tap(lambda events: heard.append(list(events)))
    sent = [event("a", "progress"), event("a", "progress"), event("a", seq=1)]
    hub.publish(sent)
    hub.publish([])
    assert heard == [sent, []]


def rig() -> Rig:
    return Rig(spec("hls", lambda ctx, payload: asyncio.sleep(0), payload=Numbered))


async def followed(follow: Follow, count: int) -> list[int]:
    async with asyncio.timeout(30):
        return [(await follow.next()).seq for _ in range(count)]


async def nothing_follows(follow: Follow) -> bool:
    reading = asyncio.create_task(follow.next())
    for _ in range(5):
        await asyncio.sleep(0)
    waiting = not reading.done()
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading
    return waiting


async def test_following_replays_what_was_missed_and_goes_on_live() -> None:
    r = rig()
    await submit(r.store, "a", "b", "c")
    async with r.queue.follow(ALL, 1) as follow:
        assert await followed(follow, 2) == [2, 3]
        await submit(r.store, "d")
        assert await followed(follow, 1) == [4]
        assert not follow.missed and await nothing_follows(follow)


async def test_events_stored_between_the_subscription_and_the_first_read_come_once() -> None:
    r = rig()
    await submit(r.store, "a")
    async with r.queue.follow(ALL, 0) as replayed, r.queue.follow(ALL) as live:
        await submit(r.store, "b", "c")
        assert await followed(replayed, 3) == [1, 2, 3]
        assert await followed(live, 2) == [2, 3]
        assert await nothing_follows(replayed) and await nothing_follows(live)


async def test_a_long_replay_is_paged_without_gap_or_repeat() -> None:
    r = rig()
    many = 2 * REPLAY_PAGE
    await submit(r.store, *(f"job{n}" for n in range(many)))
    async with r.queue.follow(ALL, 0) as follow:
        half = await followed(follow, REPLAY_PAGE + 1)
        await submit(r.store, "late")  # live already, and in a page still to be read
        assert half + await followed(follow, REPLAY_PAGE) == list(range(1, many + 2))
        assert await nothing_follows(follow)


async def test_a_replay_longer_than_the_backlog_does_not_drop_its_reader() -> None:
    r = rig()
    await submit(r.store, *(f"job{n}" for n in range(hub_module.BACKLOG + 5)))
    async with r.queue.follow(ALL, 0) as follow:
        assert len(await followed(follow, hub_module.BACKLOG + 5)) == hub_module.BACKLOG + 5


async def test_following_one_job_sees_its_events_only() -> None:
    r = rig()
    await submit(r.store, "a", "b")
    async with r.queue.follow(Filter(ids=["b"]), 0) as follow:
        await submit(r.store, "c")
        assert await followed(follow, 1) == [2]
        assert await nothing_follows(follow)


async def test_progress_older_than_a_replayed_end_is_not_told_after_it() -> None:
    r = rig()
    async with r.queue.follow(ALL, 0) as follow:
        await submit(r.store, "a")
        r.hub.publish([event("a", "progress", progress=0.5)])
        await end(r.store, "b", Completed({}), type="webp")
        assert await followed(follow, 4) == [1, 2, 3, 4]
        assert await nothing_follows(follow)
        r.hub.publish([event("a", "progress", progress=0.6)])
        assert (await follow.next()).progress == 0.6


async def test_a_reader_that_comes_back_too_late_is_told_what_it_missed() -> None:
    r = rig()
    await end(r.store, "old", Completed({}))
    await submit(r.store, "kept")
    await r.store.prune(prune_at(later(1)))
    for after, missed in [(0, True), (2, True), (3, False), (4, False), (5, True), (None, False)]:
        async with r.queue.follow(ALL, after) as follow:
            assert (after, follow.missed) == (after, missed)
            assert follow.after == (after if after in (3, 4) else 4)


async def test_a_reader_that_missed_events_begins_at_the_present() -> None:
    r = rig()
    await submit(r.store, "a")
    async with r.queue.follow(ALL, 99) as follow:
        assert follow.missed
        await submit(r.store, "b")
        assert await followed(follow, 1) == [2]
