"""One box sends at a time: what a stale one does of a delivery is refused, and each sends its own kinds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest

from secondunit.daemon.delivery.dispatcher import Dispatcher
from secondunit.daemon.delivery.policy import Delivered, Sent, TryLater
from secondunit.queue.errors import DutyLost
from secondunit.queue.model import Target
from secondunit.queue.ports.duties import ALONE, Candidate, Tenure
from secondunit.queue.store import Delivery
from secondunit.queue.stores.memory import MemoryStore
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import end


class NoChance:
    def random(self) -> float:
        return 0.0

    def randbytes(self, n: int, /) -> bytes:
        return bytes(n)


class Receiver:
    """Answers what it is told, once `free` is set."""

    lifetime = timedelta(days=1)

    def __init__(self, answer: Sent) -> None:
        self.answer = answer
        self.free = asyncio.Event()
        self.asked: list[str] = []

    def host(self, _: Delivery) -> str:
        return "host"

    def tells(self, _: Delivery) -> bool:
        return True

    async def send(self, delivery: Delivery) -> Sent:
        self.asked.append(delivery.id)
        await self.free.wait()
        return self.answer


class Queue:
    """A store with one delivery, and its boxes."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = ManualClock()

    async def tenure(self, boot: str) -> Tenure:
        [duty] = await self.store.duties.take(["callbacks"], Candidate(boot, timedelta(seconds=6), self.clock.now()))
        assert duty.boot == boot
        return Tenure(duty)

    def dispatcher(self, receiver: Receiver, kind: str = "callback", rest: float = 2.0) -> Dispatcher:
        return Dispatcher(self.store.outbox, {kind: receiver}, self.clock, NoChance(), kinds=[kind], longest_rest=rest)

    async def delivery(self) -> Delivery:
        [row] = await self.store.outbox.of_job("a")
        return row


@asynccontextmanager
async def running(dispatcher: Dispatcher, tenure: Tenure, clock: ManualClock) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(dispatcher.run(tenure))
    await clock.settle()
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, ExceptionGroup):
            await task


@pytest.fixture
async def queue() -> Queue:
    queue = Queue()
    await end(queue.store, "a", at=queue.clock.now(), target=Target("callback", "http://receiver.example/"))
    return queue


async def test_the_late_answer_to_a_box_that_was_frozen_does_not_count(queue: Queue) -> None:
    stale, fresh = Receiver(TryLater("busy", 503)), Receiver(Delivered(204))
    async with running(queue.dispatcher(stale), await queue.tenure("a/1"), queue.clock) as first:
        assert len(stale.asked) == 1
        await queue.clock.leap(30)
        async with running(queue.dispatcher(fresh), await queue.tenure("b/1"), queue.clock):
            fresh.free.set()
            await queue.clock.settle()
            delivered = await queue.delivery()
            assert (delivered.state, delivered.attempts) == ("delivered", 1)
            stale.free.set()
            await queue.clock.settle()
            assert await queue.delivery() == delivered
            assert fresh.asked == stale.asked, "the same delivery, under the same id"
            with pytest.raises(ExceptionGroup) as ended:
                await first
            assert ended.group_contains(DutyLost)


async def test_one_that_is_not_sure_any_more_sends_nothing(queue: Queue) -> None:
    receiver = Receiver(Delivered(204))
    async with running(queue.dispatcher(receiver), Tenure(lasts=lambda: False), queue.clock):
        await queue.clock.advance(60)
    assert receiver.asked == [] and (await queue.delivery()).attempts == 0


async def test_a_loop_that_was_cut_off_sends_when_it_runs_again(queue: Queue) -> None:
    receiver = Receiver(Delivered(204))
    dispatcher = queue.dispatcher(receiver)
    async with running(dispatcher, ALONE, queue.clock):
        assert len(receiver.asked) == 1
    async with running(dispatcher, ALONE, queue.clock):
        receiver.free.set()
        await queue.clock.settle()
        assert (await queue.delivery()).state == "delivered" and len(receiver.asked) == 2


async def test_one_that_was_stopped_runs_again(queue: Queue) -> None:
    receiver = Receiver(Delivered(204))
    receiver.free.set()
    dispatcher = queue.dispatcher(receiver)
    async with running(dispatcher, ALONE, queue.clock) as task:
        dispatcher.stop()
        await asyncio.wait_for(task, 5)
    await end(queue.store, "b", at=queue.clock.now(), target=Target("callback", "http://receiver.example/"))
    async with running(dispatcher, ALONE, queue.clock):
        await queue.clock.advance(5)
    assert len(receiver.asked) == 2


async def test_each_sends_the_kinds_that_are_its_own(queue: Queue) -> None:
    receiver = Receiver(Delivered(204))
    receiver.free.set()
    async with running(queue.dispatcher(receiver, "backend"), ALONE, queue.clock):
        await queue.clock.advance(3600)
    row = await queue.delivery()
    assert receiver.asked == [] and (row.state, row.attempts) == ("pending", 0), "and no try of it is used up"


async def test_what_another_box_was_asked_to_send_again_is_found_within_the_rest(queue: Queue) -> None:
    receiver = Receiver(Delivered(204))
    receiver.free.set()
    elsewhere = queue.dispatcher(Receiver(Delivered(204)))
    async with running(queue.dispatcher(receiver), ALONE, queue.clock):
        await queue.clock.advance(5)
        row = await elsewhere.retry((await queue.delivery()).id)
        assert (row.state, row.attempts) == ("pending", 0)
        await queue.clock.advance(2.5)
    assert receiver.asked == [row.id, row.id] and (await queue.delivery()).state == "delivered"
