"""Duties are held by one box at a time, renewed, followed in seconds, given back; loops run while they are held."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

import pytest

from secondunit.daemon.automation.duty_keeper import EVERY, MARGIN, PATIENCE, TTL, DutyKeeper, Shift
from secondunit.queue.errors import DutyLost, StoreFull
from secondunit.queue.ports.duties import Candidate, Duty, Tenure
from secondunit.queue.stores.memory import MemoryStore
from secondunit.testing.clock import ManualClock

LOOK = EVERY.total_seconds()
LEASE = TTL.total_seconds()


class Server:
    """The duties of a shared store, which may be away (`there`), or full, for one box."""

    def __init__(self, store: MemoryStore) -> None:
        self._duties = store.duties
        self.there = asyncio.Event()
        self.there.set()
        self.full = False
        self.asked = 0

    async def all(self) -> Sequence[Duty]:
        return await self._duties.all()

    async def take(self, names: Collection[str], candidate: Candidate) -> Sequence[Duty]:
        self.asked += 1
        await self.there.wait()
        if self.full:
            raise StoreFull("full")
        return await self._duties.take(names, candidate)

    async def give_back(self, names: Collection[str], boot: str, now: datetime) -> None:
        await self.there.wait()
        await self._duties.give_back(names, boot, now)


class Box:
    """A daemon with two loops: `polls`, which is cancelled, and `sends`, which ends when it is asked to."""

    def __init__(self, boot: str, store: MemoryStore, clock: ManualClock, *, shared: bool = True) -> None:
        self.server = Server(store)
        self.draining = False
        self.running: dict[str, Tenure] = {}
        self.began: list[tuple[str, int]] = []
        self.raises: dict[str, Exception] = {}
        self.slow = asyncio.Event()
        self.slow.set()
        self._asked_to_end = asyncio.Event()
        shifts = [
            Shift("polls", lambda tenure: self._loop("polls", tenure)),
            Shift("sends", lambda tenure: self._loop("sends", tenure), self._asked_to_end.set, drains=True),
        ]
        self.keeper = DutyKeeper(self.server, boot, clock, shifts, shared=shared, draining=lambda: self.draining)
        self.task: asyncio.Task[None] | None = None

    async def _loop(self, name: str, tenure: Tenure) -> None:
        assert tenure.duty is not None and name not in self.running
        self.running[name] = tenure
        self.began.append((name, tenure.duty.term))
        self._asked_to_end.clear()
        try:
            while name not in self.raises and not (name == "sends" and self._asked_to_end.is_set()):
                await asyncio.sleep(0)
            if name in self.raises:
                raise self.raises.pop(name)
            await self.slow.wait()
        finally:
            del self.running[name]

    def drain(self, wanted: bool = True) -> None:
        self.draining = wanted
        self.keeper.wake()


class Boxes:
    """Boxes over one store, on one clock."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = ManualClock()
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self, boot: str, *, shared: bool = True, full: bool = False) -> Box:
        box = Box(boot, self.store, self.clock, shared=shared)
        box.server.full = full
        box.task = asyncio.create_task(box.keeper.run())
        self.tasks.append(box.task)
        await self.clock.settle()
        return box

    async def kill(self, box: Box) -> None:
        assert box.task
        box.task.cancel()
        with suppress(asyncio.CancelledError):
            await box.task

    async def pass_by(self, seconds: float) -> None:
        """Time, in small steps: loops turn all the while."""
        for _ in range(round(seconds / 0.5)):
            await self.clock.advance(0.5)
        await self.clock.settle()

    async def terms(self) -> dict[str, tuple[int, str | None]]:
        return {duty.name: (duty.term, duty.boot) for duty in await self.store.duties.all()}


@asynccontextmanager
async def boxes_of() -> AsyncIterator[Boxes]:
    boxes = Boxes()
    try:
        yield boxes
    finally:
        for task in boxes.tasks:
            task.cancel()
        await asyncio.gather(*boxes.tasks, return_exceptions=True)


@pytest.fixture
async def boxes() -> AsyncIterator[Boxes]:
    async with boxes_of() as boxes:
        yield boxes


async def test_one_box_holds_all_for_as_long_as_it_renews(boxes: Boxes) -> None:
    a, b = await boxes.start("a/1"), await boxes.start("b/1")
    await boxes.pass_by(60)
    assert a.began == [("polls", 1), ("sends", 1)] and {*a.running} == {"polls", "sends"}
    assert b.began == [] and b.keeper.holder("polls") == "a"
    assert a.keeper.holder("polls") is None
    assert all(tenure.lasts() for tenure in a.running.values())


async def test_a_killed_one_is_followed_when_its_lease_ends(boxes: Boxes) -> None:
    a, b = await boxes.start("a/1"), await boxes.start("b/1")
    await boxes.pass_by(20)
    await boxes.kill(a)
    await boxes.pass_by(LEASE - LOOK - 0.5)
    assert b.began == []
    await boxes.pass_by(2 * LOOK + 0.5)
    assert b.began == [("polls", 2), ("sends", 2)]


async def test_one_that_stops_gives_back_after_its_loops_have_ended(boxes: Boxes) -> None:
    a, b = await boxes.start("a/1"), await boxes.start("b/1")
    a.slow.clear()
    a.keeper.end()
    await boxes.pass_by(3 * LEASE)
    assert {*a.running} == {"sends"} and b.began == [("polls", 2)], "what takes its time to end is kept meanwhile"
    a.slow.set()
    await boxes.pass_by(LOOK)
    assert a.task and a.task.done() and not a.running
    assert b.began == [("polls", 2), ("sends", 2)]


async def test_a_box_that_starts_again_has_at_once_what_its_dead_boot_held(boxes: Boxes) -> None:
    await boxes.kill(await boxes.start("a/1"))
    again = await boxes.start("a/2")
    assert again.began == [("polls", 2), ("sends", 2)]


async def test_a_frozen_one_knows_before_it_does_anything_that_it_may_have_lost(boxes: Boxes) -> None:
    a, b = await boxes.start("a/1"), await boxes.start("b/1")
    [tenure, _] = a.running.values()
    a.server.there.clear()  # nothing of it comes through, as of a process that stands still
    await boxes.pass_by(LEASE - MARGIN.total_seconds() - LOOK)
    assert tenure.lasts()
    await boxes.pass_by(LOOK)
    assert not tenure.lasts() and not a.running, "stopped before others may begin"
    assert b.began == []
    await boxes.pass_by(LEASE)
    assert b.began == [("polls", 2), ("sends", 2)]
    a.server.there.set()
    await boxes.pass_by(LEASE)
    assert a.began == [("polls", 1), ("sends", 1)], "it is another's"


async def test_after_a_leap_in_time_nothing_is_done_under_the_old_term(boxes: Boxes) -> None:
    a = await boxes.start("a/1")
    tenures = list(a.running.values())
    a.server.there.clear()
    assert [tenure.lasts() for tenure in tenures] == [True, True]
    await boxes.clock.leap(3600)
    assert [tenure.lasts() for tenure in tenures] == [False, False]


async def test_who_could_not_renew_goes_on_if_nobody_took_it(boxes: Boxes) -> None:
    a = await boxes.start("a/1")
    a.server.there.clear()
    await boxes.pass_by(2 * LEASE)
    assert not a.running
    a.server.there.set()
    await boxes.pass_by(LOOK + 0.5)
    assert {*a.running} == {"polls", "sends"}
    assert (await boxes.terms())["polls"] == (1, "a/1")


async def test_a_full_store_renews_nothing_and_ends_nothing_else(boxes: Boxes) -> None:
    a = await boxes.start("a/1")
    a.server.full = True
    await boxes.pass_by(LEASE)
    assert not a.running and a.task and not a.task.done()
    a.server.full = False
    await boxes.pass_by(LOOK + 0.5)
    assert {*a.running} == {"polls", "sends"}


async def test_a_loop_that_was_refused_a_write_ends_alone_and_begins_again_if_the_duty_is_ours(boxes: Boxes) -> None:
    a = await boxes.start("a/1")
    a.raises["polls"] = DutyLost("polls", 1)
    await boxes.pass_by(LOOK)
    assert a.began == [("polls", 1), ("sends", 1), ("polls", 1)]
    a.raises["sends"] = ExceptionGroup("of its tasks", [DutyLost("sends", 1)])
    await boxes.pass_by(LOOK)
    assert a.began[3:] == [("sends", 1)] and {*a.running} == {"polls", "sends"}


async def test_a_loop_that_fails_takes_the_keeper_down(boxes: Boxes) -> None:
    a = await boxes.start("a/1")
    a.raises["polls"] = ValueError("a bug")
    await boxes.pass_by(1)
    assert a.task
    with pytest.raises(ExceptionGroup) as failed:
        await a.task
    assert failed.group_contains(ValueError, match="a bug")
    boxes.tasks.remove(a.task)


async def test_a_box_that_drains_leaves_all_to_others(boxes: Boxes) -> None:
    a, b = await boxes.start("a/1"), await boxes.start("b/1")
    a.drain()
    await boxes.pass_by(LOOK + 0.5)
    assert not a.running and b.began == [("polls", 2), ("sends", 2)]
    await boxes.pass_by(60)
    assert not a.running
    await boxes.kill(b)
    await boxes.pass_by(LEASE + PATIENCE.total_seconds() + LOOK + 1)
    assert {*a.running} == {"sends"}, "nobody else is there to do it"
    a.drain(False)
    await boxes.pass_by(LOOK)
    assert {*a.running} == {"sends", "polls"}


async def test_alone_in_a_drain_a_box_goes_on_with_what_others_wait_for(boxes: Boxes) -> None:
    a = await boxes.start("a/1")
    a.drain()
    await boxes.pass_by(LOOK - 0.5)
    assert not a.running
    await boxes.pass_by(PATIENCE.total_seconds() + LOOK)
    assert {*a.running} == {"sends"}


async def test_where_nobody_else_could_have_them_all_are_held_from_start_to_end(boxes: Boxes) -> None:
    await boxes.kill(await boxes.start("1", shared=False))
    box = await boxes.start("2", shared=False)
    assert box.began == [("polls", 2), ("sends", 2)]
    box.drain()
    await boxes.clock.advance(30 * 24 * 3600)
    assert box.began == [("polls", 2), ("sends", 2)] and len(box.running) == 2
    assert all(tenure.lasts() for tenure in box.running.values())
    assert box.server.asked == 1, "and nothing is written meanwhile"
    box.keeper.end()
    await boxes.clock.settle()
    assert box.task and box.task.done() and not box.running


async def test_alone_on_a_full_disk_the_start_is_tried_again(boxes: Boxes) -> None:
    box = await boxes.start("1", shared=False, full=True)
    assert box.began == []
    box.server.full = False
    await boxes.pass_by(LOOK)
    assert {*box.running} == {"polls", "sends"}


async def test_no_two_boxes_run_a_loop_at_once_whatever_becomes_of_them(boxes: Boxes) -> None:
    found: list[Box] = [await boxes.start(f"{name}/1") for name in "abc"]
    terms: list[Any] = []
    for turn in range(60):
        box = found[turn * 7 % 3]
        if turn % 4 == 0:
            (box.server.there.clear if box.server.there.is_set() else box.server.there.set)()
        if turn % 5 == 0:
            box.drain(not box.draining)
        for _ in range(4):
            await boxes.clock.advance(0.5)
            for name in ("polls", "sends"):
                surely = [each for each in found if name in each.running and each.running[name].lasts()]
                assert len(surely) <= 1
                terms += [each.running[name].duty for each in surely]
    of = [duty.term for duty in terms if duty.name == "polls"]
    assert of == sorted(of) and of[-1] > 3
