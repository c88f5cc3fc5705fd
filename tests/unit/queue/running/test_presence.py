"""A box beats under its name, holds its worker back when it is drained, and does not live beside a namesake."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue.errors import BoxTaken
from secondunit.queue.handler import JobContext
from secondunit.queue.model import Status
from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.ports.pruning import Prune
from secondunit.queue.running.presence import SILENT, BoxDrained, Presence, enter
from secondunit.queue.value import replace
from secondunit.testing.clock import ManualClock
from secondunit.testing.faulty_store import FaultyStore
from secondunit.testing.jobs import NOW, TTL, later
from secondunit.testing.rig import Rig, spec

BOX = BoxRow("a", "a/1", "http://127.0.0.1:8000", "1.0.0", {"hls": 1}, 5, TTL, NOW)
BEAT = BOX.beat.total_seconds()


class Box:
    """A daemon's presence on a clock of its own; `held` is what its worker was told."""

    def __init__(self, store: FaultyStore, clock: ManualClock, box: BoxRow = BOX) -> None:
        self.held: list[bool] = []
        self.facts: list[Any] = []
        self.presence = Presence(store, clock, box, self.held.append, emit=self.facts.append)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


async def seen(store: FaultyStore) -> BoxRow:
    [row] = await store.boxes.all()
    return row


async def entering(store: FaultyStore, clock: ManualClock, box: BoxRow, before: str | None = None) -> Any:
    return asyncio.create_task(enter(store, clock, box, before))


async def test_a_box_is_seen_every_other_second_for_as_long_as_it_lives(store: FaultyStore, clock: ManualClock) -> None:
    await enter(store, clock, BOX)
    beats = asyncio.create_task(Box(store, clock).presence.run())
    for n in range(1, 4):
        await clock.advance(BEAT)
        assert (await seen(store)).seen_at == later(n * BEAT)
    beats.cancel()
    with suppress(asyncio.CancelledError):
        await beats
    await clock.advance(TTL.total_seconds() + 1)
    assert (await seen(store)).state(clock.now()) == "gone"


async def test_a_drain_is_heard_at_the_next_heartbeat_and_so_is_its_end(store: FaultyStore, clock: ManualClock) -> None:
    box = Box(store, clock, await enter(store, clock, BOX))
    for drained in (True, False):
        await store.boxes.drain("a", drained)
        await box.presence.beat()
        await box.presence.beat()
    assert box.held == [False, True, False]
    assert box.facts == [BoxDrained("a", True), BoxDrained("a", False)]


async def test_a_drain_stands_when_the_box_starts_again(store: FaultyStore, clock: ManualClock) -> None:
    await enter(store, clock, BOX)
    await store.boxes.drain("a", True)
    await store.boxes.turn("a", "a/1", "ended", NOW)
    box = Box(store, clock, await enter(store, clock, replace(BOX, boot="a/2")))
    assert (box.held, box.facts, box.presence.box.state(NOW)) == ([True], [], "draining")


async def test_a_worker_that_is_held_starts_nothing_and_ends_what_runs() -> None:
    go = asyncio.Event()

    async def run(ctx: JobContext, payload: Any) -> None:
        await go.wait()

    rig = Rig(spec("hls", run, concurrency=2))
    async with rig.working():
        first = await rig.submit("hls")
        await rig.clock.settle()
        rig.worker.hold(True)
        second = await rig.submit("hls")
        await rig.clock.advance(60)
        assert [(await rig.store.get(id)).status for id in (first, second)] == [Status.RUNNING, Status.QUEUED]
        assert rig.worker.load().drained and not rig.worker.load().draining
        go.set()
        await rig.clock.settle()
        assert [(await rig.store.get(id)).status for id in (first, second)] == [Status.COMPLETED, Status.QUEUED]
        rig.worker.hold(False)
        await rig.clock.settle()
        assert (await rig.store.get(second)).status is Status.COMPLETED


async def test_a_start_is_refused_while_a_namesake_beats(store: FaultyStore, clock: ManualClock) -> None:
    box = Box(store, clock, await enter(store, clock, BOX))
    beats = asyncio.create_task(box.presence.run())
    second = await entering(store, clock, replace(BOX, boot="a/2"))
    await clock.advance(BEAT + 1)
    with pytest.raises(BoxTaken, match=r"BOX: a is the name of another daemon .*boot a/1, at http://127.0.0.1:8000"):
        await second
    assert (await seen(store)).boot == "a/1"
    assert not beats.done(), "who was first goes on"
    beats.cancel()


async def test_a_start_waits_until_it_is_sure_that_nobody_beats(store: FaultyStore, clock: ManualClock) -> None:
    await enter(store, clock, BOX)
    await clock.advance(1)
    second = await entering(store, clock, replace(BOX, boot="a/2", seen_at=clock.now()))
    await clock.advance(SILENT * BEAT - 1.5)
    assert not second.done()
    await clock.advance(1)
    assert (await second).boot == "a/2"


@pytest.mark.parametrize(
    ("phase", "before", "passed"),
    [("ended", None, 0), ("up", "a/1", 0), ("up", None, SILENT * BEAT)],
    ids=["it ended", "it is known to be over", "it is silent for long"],
)
async def test_a_start_waits_for_nothing_where_nobody_can_live(
    store: FaultyStore, clock: ManualClock, phase: Any, before: str | None, passed: float
) -> None:
    await enter(store, clock, BOX)
    await store.boxes.turn("a", "a/1", phase, NOW)
    await clock.advance(passed)
    assert (await enter(store, clock, replace(BOX, boot="a/2"), before)).boot == "a/2"
    assert clock.sleepers == 0


async def test_a_start_goes_on_when_the_namesake_ends_meanwhile(store: FaultyStore, clock: ManualClock) -> None:
    await enter(store, clock, BOX)
    second = await entering(store, clock, replace(BOX, boot="a/2"))
    await clock.advance(1)
    await store.boxes.turn("a", "a/1", "ended", clock.now())
    await clock.advance(1)
    assert (await second).boot == "a/2"


async def test_who_finds_its_name_taken_ends(store: FaultyStore, clock: ManualClock) -> None:
    box = Box(store, clock, await enter(store, clock, BOX))
    await store.boxes.enter(replace(BOX, boot="a/2", address="http://10.0.0.2:8000"))
    beats = asyncio.create_task(box.presence.run())
    await clock.advance(BEAT)
    with pytest.raises(BoxTaken, match=r"boot a/2, at http://10.0.0.2:8000"):
        await beats
    assert (await seen(store)).boot == "a/2"


async def test_a_row_that_was_forgotten_is_entered_again(store: FaultyStore, clock: ManualClock) -> None:
    box = Box(store, clock, await enter(store, clock, BOX))
    far = later(999)
    await store.prune(Prune(far, far, far))
    await clock.advance(5)
    await box.presence.beat()
    assert (await seen(store)) == replace(BOX, seen_at=later(5))


async def test_the_port_is_told_once_it_is_known_and_the_end_at_the_end(store: FaultyStore, clock: ManualClock) -> None:
    box = Box(store, clock, await enter(store, clock, BOX))
    await box.presence.serves_at("http://127.0.0.1:41234")
    assert (await seen(store)).address == "http://127.0.0.1:41234"
    await box.presence.turn("stopping")
    assert (await seen(store)).state(NOW) == "draining"
    await box.presence.turn("ended")
    assert (await seen(store)).state(NOW) == "gone"


def test_a_short_lease_has_quick_heartbeats() -> None:
    assert replace(BOX, lease=timedelta(seconds=3)).beat == timedelta(seconds=1)
