"""Who waits for jobs, and which workers were seen."""

import asyncio
from datetime import timedelta

import pytest

from secondunit.queue.errors import TooManyWaiting
from secondunit.queue.ports.holders import RemoteHolder
from secondunit.queue.remote import workers
from secondunit.queue.remote.waiting import Waiter, WaitingRoom
from secondunit.queue.remote.workers import Roster
from secondunit.testing.jobs import NOW, later


def waiter(*types: str, key: str = "k") -> Waiter:
    return Waiter(RemoteHolder(key, "w"), frozenset(types), 1, asyncio.get_running_loop().create_future(), 60)


async def test_a_key_has_so_many_places_and_gets_them_back() -> None:
    room = WaitingRoom(2)
    first, second = waiter("a"), waiter("a")
    room.enter(first)
    room.enter(second)
    with pytest.raises(TooManyWaiting, match="2 calls of this key"):
        room.enter(waiter("a"))
    room.enter(waiter("a", key="another"))
    room.leave(first)
    third = waiter("a")
    room.enter(third)
    room.leave(first)  # twice is once
    with pytest.raises(TooManyWaiting, match="2 calls"):
        room.enter(waiter("a"))
    assert list(room.of_key("k")) == [second, third] and len(room) == 3


async def test_those_whose_time_is_up_are_answered_and_the_others_wait_on() -> None:
    room, first, second = WaitingRoom(), waiter("a"), waiter("a")
    first.until, second.until = 5.0, 9.0
    for each in (first, second):
        room.enter(each)
    room.time_out(4.9)
    assert (first.last, second.last, room.until) == (False, False, 5.0)
    room.time_out(5.0)
    assert (first.last, second.last, room.until) == (True, False, 9.0)
    room.time_out(9.0)
    assert (first.last, second.last, room.until) == (True, True, float("inf"))


async def test_what_is_claimed_for_who_is_gone_or_wanted_none_is_unwanted() -> None:
    here, gone, looking = waiter("a"), waiter("a"), waiter("a")
    gone.gone, looking.most = True, 0
    assert [one.unwanted for one in (here, gone, looking)] == [False, True, True]


async def test_news_concern_those_who_wait_for_the_type() -> None:
    room, one, other = WaitingRoom(), waiter("a", "b"), waiter("c")
    for each in (one, other):
        room.enter(each)
        each.tried = True
    assert room.news({"b"}) and not room.news({"x"})
    assert (one.tried, other.tried) == (False, True)
    assert room.news(None) and not other.tried


def test_a_worker_is_seen_for_a_day_and_the_latest_stand_first() -> None:
    roster, old, new = Roster(), RemoteHolder("k", "old"), RemoteHolder("k", "new")
    roster.hears(old, "a", NOW)
    roster.asks(new, ["a", "b"], later(5))
    roster.leaves(new, later(9))
    roster.asks(old, ["a"], later(3))
    found = [(seen.holder.worker, seen.waiting) for seen in roster.of("a", later(10))]
    assert found == [("old", True), ("new", False)]  # who waits is here
    assert [seen.seen_at for seen in roster.of("b", later(10))] == [later(9)]
    assert roster.of("a", NOW + timedelta(hours=25)) == []


def test_the_roster_is_bounded() -> None:
    roster = Roster()
    for n in range(workers.MOST + 5):
        roster.hears(RemoteHolder("k", f"w{n}"), "a", NOW)
    assert len(roster.of("a", NOW)) == workers.MOST
