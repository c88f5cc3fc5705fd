"""Deliveries that are asked for again, a stop in the middle, a full disk, a kind that nothing sends."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from secondunit.daemon.delivery.policy import (
    Gone,
)
from secondunit.queue.errors import StoreFull
from secondunit.queue.store import Delivery
from secondunit.queue.stores.memory_ports import MemoryOutbox
from tests.unit.daemon.delivery.dispatcher.scene import (
    DAY,
    DOWN,
    OK,
    FakeSender,
    Scene,
    notice,
    running,
)


async def test_a_dead_delivery_that_is_asked_for_again_goes_out_at_once() -> None:
    async with running(Scene(FakeSender(a=[Gone("answered 410", 410), OK]))) as scene:
        await scene.ended("j")
        assert await scene.state("j") == "dead"
        await scene.clock.advance(3 * DAY.total_seconds())
        assert (await scene.dispatcher.retry("j-1")).state == "pending"
        await scene.clock.settle()
        assert await scene.state("j") == "delivered"
    assert scene.sender.tries == ["j-1", "j-1"]


async def test_a_delivered_one_that_is_asked_for_again_is_sent_again_under_its_id() -> None:
    async with running(Scene(FakeSender())) as scene:
        await scene.ended("j")
        await scene.dispatcher.retry("j-1")
        await scene.clock.settle()
        assert scene.sender.tries == ["j-1", "j-1"]


async def test_asking_again_passes_the_breaker() -> None:
    async with running(Scene(FakeSender(a=[DOWN]))) as scene:
        await scene.ended(*(f"j{n}" for n in range(60)))
        await scene.clock.advance(500)
        before = len(scene.sender.tries)
        await scene.dispatcher.retry("j50-1")
        await scene.clock.settle()
        assert scene.sender.tries[before:] == ["j50-1"]


async def test_asking_again_for_a_jobs_second_delivery_does_not_let_it_overtake_its_first() -> None:
    sender = FakeSender()
    async with running(Scene(sender)) as scene:
        hanging = sender.hang("a")
        await scene.ended("another")
        await scene.ended("j")
        await scene.ended("j")
        first, second = await scene.outbox.of_job("j")
        await scene.dispatcher.retry(first.id)
        await scene.dispatcher.retry(second.id)
        hanging.set()
        del sender.hanging["a"]
        await scene.clock.settle()
        assert sender.tries[1:] == [first.id, second.id]


async def test_asking_again_for_what_is_unknown_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        await Scene(FakeSender()).dispatcher.retry("nothing-1")


async def test_a_send_that_was_cut_off_is_sent_again_by_the_next_process() -> None:
    sender = FakeSender()
    sender.hang("a")
    scene = Scene(sender)
    async with running(scene):
        await scene.ended("j")
        assert sender.running == ["a"]
    assert await scene.state("j") == "pending"
    sender.hanging.clear()
    async with running(scene, scene.another()):
        assert await scene.state("j") == "delivered"
    assert sender.tries == ["j-1", "j-1"]


async def test_a_stop_still_sends_what_is_due_and_then_returns() -> None:
    scene = Scene(FakeSender())
    task = asyncio.create_task(scene.dispatcher.run())
    await scene.clock.settle()
    for n in range(10):
        scene.outbox.add(notice(f"j{n}"))
    scene.dispatcher.stop()
    await scene.clock.settle()
    assert task.done()
    await task
    assert (await scene.outbox.counts()) == {"delivered": 10}


async def test_a_stop_takes_nothing_new() -> None:
    sender = FakeSender()
    hanging = sender.hang("a")
    scene = Scene(sender)
    task = asyncio.create_task(scene.dispatcher.run())
    await scene.ended("j")
    scene.dispatcher.stop()
    await scene.clock.settle()
    await scene.ended("late", host="b")
    assert sender.tries == ["j-1"]
    hanging.set()
    await task
    assert await scene.state("j") == "delivered"
    assert await scene.state("late") == "pending"


async def test_a_stop_waits_for_a_hanging_send_no_longer_than_the_grace_time() -> None:
    sender = FakeSender()
    sender.hang("a")
    scene = Scene(sender)
    task = asyncio.create_task(scene.dispatcher.run())
    await scene.ended("j")
    scene.dispatcher.stop()
    await scene.clock.advance(9)
    assert not task.done()
    await scene.clock.advance(2)
    await task
    assert await scene.state("j") == "pending"


class FullDisk(MemoryOutbox):
    """An outbox on a disk without room, until there is some."""

    def __init__(self) -> None:
        super().__init__()
        self.full = True
        self.looks = 0

    async def due(self, now: datetime, limit: int, **which: Any) -> tuple[Sequence[Delivery], bool]:
        self.looks += 1
        return await super().due(now, limit, **which)

    async def change(self, delivery_id: str, decide: Callable[[Delivery], Delivery], **fenced: Any) -> Delivery:
        if self.full:
            raise StoreFull
        return await super().change(delivery_id, decide, **fenced)


async def test_a_full_disk_does_not_send_a_delivery_again_and_again() -> None:
    outbox = FullDisk()
    async with running(Scene(FakeSender(), outbox=outbox)) as scene:
        await scene.ended("j")
        await scene.clock.advance(60)
        assert scene.sender.tries == ["j-1"]
        assert await scene.state("j") == "pending"
        outbox.full = False
        await scene.clock.advance(10)
        await scene.clock.settle()
        assert await scene.state("j") == "delivered"
    assert scene.sender.tries == ["j-1"]


async def test_a_full_disk_with_a_crowd_does_not_stop_the_loop_from_ending() -> None:
    sender, outbox = FakeSender(), FullDisk()
    sender.hang("a")
    scene = Scene(sender, outbox=outbox)
    task = asyncio.create_task(scene.dispatcher.run())
    await scene.ended(*(f"j{n}" for n in range(200)))
    await scene.clock.advance(5)
    assert outbox.looks < 20
    scene.dispatcher.stop()
    await scene.clock.advance(11)
    assert task.done()
    await task


async def test_a_kind_that_nothing_sends_waits_visibly_and_delays_no_other() -> None:
    async with running(Scene(FakeSender())) as scene:
        await scene.ended("b", kind="backend")
        await scene.ended("j")
        assert await scene.state("j") == "delivered"
        [waiting] = await scene.outbox.of_job("b")
        assert waiting.state == "pending"
        assert waiting.last_error == "nothing here sends backend deliveries"
        await scene.clock.advance(timedelta(days=8).total_seconds())
        assert await scene.state("b") == "dead"
