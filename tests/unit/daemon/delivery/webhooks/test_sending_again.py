"""Callbacks that are sent again: under one id, beside others, given up after a day."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from aiohttp import web
from standardwebhooks.webhooks import Webhook

from secondunit.daemon.delivery.dispatcher import DeliveryTried, Dispatcher
from secondunit.daemon.delivery.webhooks import CallbackSender
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.queue.instrumentation import Fact
from secondunit.queue.store import Delivery
from secondunit.queue.stores.memory_ports import MemoryOutbox
from secondunit.queue.value import replace
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import NOW, NoJitter
from tests.unit.daemon.delivery.webhooks.receiver import LOOPBACK, SECRET, Receiver, notice, sending, serving


class Loop:
    """A dispatcher that sends real callbacks, on a clock that stands still; `tried` waits for the next try."""

    def __init__(self, sender: CallbackSender, clock: ManualClock, outbox: MemoryOutbox) -> None:
        self.clock = clock
        self.outbox = outbox
        tries: asyncio.Queue[str] = asyncio.Queue()
        self._tries = tries
        self.dispatcher = Dispatcher(
            outbox,
            {"callback": sender},
            clock,
            NoJitter(),
            emit=self._hear,
        )

    def _hear(self, fact: Fact) -> None:
        assert isinstance(fact, DeliveryTried)
        self._tries.put_nowait(fact.outcome)

    async def tried(self) -> str:
        async with asyncio.timeout(30):
            return await self._tries.get()

    async def only(self) -> Delivery:
        [row] = await self.outbox.of_job("job_1")
        return row


@asynccontextmanager
async def looping(rule: AddressRule = LOOPBACK, outbox: MemoryOutbox | None = None) -> AsyncIterator[Loop]:
    clock = ManualClock(NOW)
    async with sending(rule, SECRET, clock=clock) as sender:
        loop = Loop(sender, clock, outbox or MemoryOutbox())
        task = asyncio.create_task(loop.dispatcher.run())
        try:
            yield loop
        finally:
            loop.dispatcher.stop()
            await task


async def test_a_callback_that_failed_twice_arrives_under_its_first_id_and_is_signed_anew() -> None:
    receiver = Receiver(500, 302, 200)
    async with serving(receiver.answer) as url, looping() as loop:
        loop.outbox.add(notice(url))
        loop.dispatcher.wake()
        assert await loop.tried() == "later"
        await loop.clock.advance(1)
        assert await loop.tried() == "later"
        await loop.clock.advance(2)
        assert await loop.tried() == "delivered"
        assert (await loop.only()).attempts == 3
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {"job_1-1"}
    stamps = [int(headers["webhook-timestamp"]) for headers, _ in receiver.got]
    assert stamps[2] - stamps[0] == 3
    for headers, body in receiver.got:
        Webhook(SECRET).verify(body, headers)


async def test_a_hanging_receiver_does_not_delay_another() -> None:
    async def hang(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    receiver = Receiver(200)
    outbox = MemoryOutbox()
    async with serving(hang) as slow, serving(receiver.answer) as quick, sending(timeout=60) as sender:
        loop = Loop(sender, ManualClock(NOW), outbox)
        task = asyncio.create_task(loop.dispatcher.run())
        for n in range(20):
            outbox.add(notice(slow, job_id=f"slow_{n}"))
        outbox.add(notice(quick))
        loop.dispatcher.wake()
        assert await loop.tried() == "delivered"
        assert (await loop.only()).state == "delivered"
        task.cancel()
        await asyncio.wait({task})


async def test_a_callback_to_a_refused_address_waits_visibly_and_dies_after_a_day() -> None:
    async with looping(AddressRule()) as loop:
        loop.outbox.add(notice("http://127.0.0.1:9/"))
        loop.dispatcher.wake()
        assert await loop.tried() == "later"
        waiting = await loop.only()
        assert waiting.state == "pending" and "ALLOW_PRIVATE_ADDRESSES" in (waiting.last_error or "")
        await loop.outbox.change("job_1-1", lambda row: replace(row, next_at=NOW + timedelta(days=1)))
        loop.dispatcher.wake()
        await loop.clock.advance(timedelta(days=1).total_seconds())
        assert await loop.tried() == "dead"
        assert (await loop.only()).state == "dead"
