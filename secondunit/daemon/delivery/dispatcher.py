"""Outbox dispatcher: each delivery at least once, in order per job, until its receiver has it or it is given up."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from secondunit.daemon.delivery.host_limits import HostLimits
from secondunit.daemon.delivery.policy import Sender, Sent, TryLater, expire, receiver_works, resent, settle, untold
from secondunit.queue.clock import Clock, Random
from secondunit.queue.errors import StoreFull
from secondunit.queue.instrumentation import Fact, Sink, unheard
from secondunit.queue.ports.duties import ALONE, Tenure
from secondunit.queue.running.nap import nap
from secondunit.queue.store import Delivery, Outbox
from secondunit.queue.value import replace

LIFETIME_WITHOUT_SENDER = timedelta(days=7)
PAGE = 64
LONGEST_REST = 600.0
RECHECK = 1.0
DISK_RECHECK = 5.0


class DeliveryTried(Fact, frozen=True):
    """A delivery after a try that took so many seconds, or after it was given up without one."""

    delivery: Delivery
    seconds: float | None = None

    @property
    def outcome(self) -> Literal["delivered", "later", "dead"]:
        """What the try led to."""
        return "later" if self.delivery.state == "pending" else self.delivery.state


class Dispatcher:
    """The loop over the outbox. A crash between a send and its record sends it once more, under the same id.

    Of some `kinds` only, where another loop sends the others. It comes round after `longest_rest` seconds without news.
    """

    def __init__(
        self,
        outbox: Outbox,
        senders: Mapping[str, Sender],
        clock: Clock,
        random: Random,
        *,
        emit: Sink = unheard,
        grace: timedelta = timedelta(seconds=10),
        limits: HostLimits | None = None,
        kinds: Sequence[str] | None = None,
        longest_rest: float = LONGEST_REST,
    ) -> None:
        self._outbox = outbox
        self._senders = senders
        self._clock = clock
        self._random = random
        self._emit = emit
        self._grace = grace
        self._limits = limits or HostLimits()
        self._kinds = kinds
        self._longest_rest = longest_rest
        self._tenure = ALONE
        self._woken = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._news = True
        self._looked_at = 0.0

    def wake(self) -> None:
        """There may be something new in the outbox."""
        self._news = True
        self._woken.set()

    def lanes(self) -> Mapping[str, int]:
        """How many receiving hosts are in which state."""
        return self._limits.states(self._clock.monotonic())

    def stop(self) -> None:
        """Start what is due at this moment, and nothing after it; `run` returns within the grace time."""
        self._stopping = True
        self.wake()

    async def retry(self, delivery_id: str) -> Delivery:
        """Make a delivery due now with a new lifetime, also a delivered one (its receiver lost it); or KeyError."""
        now = self._clock.now()
        delivery = await self._outbox.change(delivery_id, lambda found: resent(found, now))
        end = delivery.created_at + self._lifetime(delivery)
        self._limits.prefer(self._host(delivery), delivery_id, end)
        self.wake()
        return delivery

    async def run(self, tenure: Tenure = ALONE) -> None:
        """Send until `stop`; what is cut off when the grace time is over is sent again by the next run.

        DutyLost once another box sends: what came of a send of ours is then not written down any more.
        """
        self._tenure, self._news = tenure, True
        self._limits.begin_anew()
        try:
            async with asyncio.TaskGroup() as sends:
                while not self._stopping:
                    self._woken.clear()
                    looked_at = await self._look(sends)
                    await self._rest(looked_at)
                await self._look(sends)
                await self._end(sends)
        finally:
            self._stopping = False

    async def _look(self, sends: asyncio.TaskGroup) -> datetime:
        """Start what may be sent now; returns the time that "due" was measured by.

        What waits for its host's turn waits in memory, so that a crash costs it nothing.
        """
        now, monotonic = self._clock.now(), self._clock.monotonic()
        self._start_waiting(sends)
        if not self._news and monotonic - self._looked_at < RECHECK:  # one was sent: those that wait are all there is
            return now
        self._news, self._looked_at = False, monotonic
        held = tuple(self._limits.held)
        page, more = await self._outbox.due(now, PAGE, except_for=held, kinds=self._kinds)
        taken = await asyncio.gather(*(self._take(sends, delivery, now, monotonic) for delivery in page))
        await asyncio.gather(*(self._record(id, lambda found: expire(found, now)) for id in self._limits.overdue(now)))
        if more and any(taken):
            self.wake()
        return now

    async def _take(self, sends: asyncio.TaskGroup, delivery: Delivery, now: datetime, monotonic: float) -> bool:
        """Send it, have it wait, or say what became of it; whether the outbox does not show it any more."""
        sender, lifetime = self._senders.get(delivery.notice.target.kind), self._lifetime(delivery)
        if sender and not sender.tells(delivery):
            return await self._record(delivery.id, lambda found: untold(found, now))
        host, end = self._host(delivery), delivery.created_at + lifetime
        match self._limits.admit(host, delivery.id, monotonic, end):
            case "send":
                self._start(sends, self._send(host, delivery))
            case "full":  # on disk, for want of room: a crowd must not fill every page of what is due
                until = min(now + timedelta(seconds=self._limits.put_off(host, monotonic)), end)
                return await self._record(
                    delivery.id, lambda found: replace(found, next_at=until) if now < end else expire(found, now)
                )
        return True

    async def _record(self, delivery_id: str, decide: Callable[[Delivery], Delivery]) -> bool:
        """Write down what becomes of one without a try; False when the disk is full."""
        try:
            after = await self._outbox.change(delivery_id, decide, duty=self._tenure.duty)
        except StoreFull:
            return False
        if after.state == "dead":
            self._emit(DeliveryTried(after))
        if after.state != "pending":
            await self._follow(after)
        return True

    async def _follow(self, ended: Delivery) -> None:
        """Have the job's next delivery looked for: it was not due while this one was pending."""
        if await self._outbox.first_pending(ended.notice.job_id):
            self.wake()

    def _host(self, delivery: Delivery) -> str:
        kind = delivery.notice.target.kind
        return f"{kind} {self._senders[kind].host(delivery)}" if kind in self._senders else kind

    def _lifetime(self, delivery: Delivery) -> timedelta:
        sender = self._senders.get(delivery.notice.target.kind)
        return sender.lifetime if sender else LIFETIME_WITHOUT_SENDER

    def _start_waiting(self, sends: asyncio.TaskGroup) -> None:
        while (turn := self._limits.next(self._clock.monotonic())) is not None:
            self._start(sends, self._send_waiting(*turn))

    def _start(self, sends: asyncio.TaskGroup, send: Coroutine[Any, Any, None]) -> None:
        task = sends.create_task(send)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _send_waiting(self, host: str, delivery_id: str) -> None:
        delivery = await self._outbox.get(delivery_id)
        if await self._outbox.first_pending(delivery.notice.job_id) == delivery_id:
            await self._send(host, delivery)
        else:  # it arrived meanwhile, or one before it has to go out again: after that, it is due again
            self._limits.done(host, delivery_id, alive=None, now=self._clock.monotonic())
            self.wake()

    async def _send(self, host: str, delivery: Delivery) -> None:
        began = self._clock.monotonic()
        if not self._tenure.lasts():  # this box was frozen for so long that another may be at it
            self._limits.done(host, delivery.id, alive=None, now=began)
            return
        sent = await self._try(delivery)
        took = timedelta(seconds=self._clock.monotonic() - began)
        now, lifetime = self._clock.now(), self._lifetime(delivery)
        after = await self._write(delivery.id, lambda found: settle(found, sent, lifetime, self._random, now, took))
        self._limits.done(host, delivery.id, alive=receiver_works(sent), now=self._clock.monotonic())
        self._woken.set()
        self._emit(DeliveryTried(after, took.total_seconds()))
        if after.state != "pending":
            await self._follow(after)

    async def _try(self, delivery: Delivery) -> Sent:
        sender = self._senders.get(delivery.notice.target.kind)
        if sender is None:
            return TryLater(f"nothing here sends {delivery.notice.target.kind} deliveries")
        return await sender.send(delivery)

    async def _write(self, delivery_id: str, decide: Callable[[Delivery], Delivery]) -> Delivery:
        while True:
            try:
                return await self._outbox.change(delivery_id, decide, duty=self._tenure.duty)
            except StoreFull:
                # It has been sent: forgetting that would send it again, so it is held until there is room to say so.
                await self._clock.sleep(DISK_RECHECK)

    async def _rest(self, looked_at: datetime) -> None:
        """Wait for news, for the next delivery that becomes due, or for the longest rest."""
        next_due = await self._outbox.next_due(self._kinds)
        seconds = self._longest_rest
        if next_due is not None and next_due > looked_at:
            seconds = min(max((next_due - self._clock.now()).total_seconds(), 0.0), seconds)
        elif next_due is not None:
            seconds = RECHECK  # it is being sent, or waits behind one that is: the next one's time is not known
        opens_in = self._limits.opens_in(self._clock.monotonic())
        if opens_in is not None:
            seconds = min(seconds, opens_in)
        await self._sleep(seconds)

    async def _sleep(self, seconds: float) -> None:
        if await nap(self._woken, self._clock, seconds):
            self.wake()

    async def _end(self, sends: asyncio.TaskGroup) -> None:
        """Let what runs or waits go out until the grace time is over."""
        over = self._clock.monotonic() + self._grace.total_seconds()
        self._start_waiting(sends)
        while self._limits.running and (left := over - self._clock.monotonic()) > 0:
            self._woken.clear()
            await self._sleep(left)
            self._start_waiting(sends)
        for task in self._running:
            task.cancel()
