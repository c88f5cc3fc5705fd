"""Stand-in for a sender, and a dispatcher over a memory outbox on a clock that tests move."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from secondunit.daemon.delivery.dispatcher import DeliveryTried, Dispatcher
from secondunit.daemon.delivery.host_limits import HostLimits
from secondunit.daemon.delivery.policy import (
    Delivered,
    Sent,
    TryLater,
)
from secondunit.queue.instrumentation import Fact
from secondunit.queue.model import Notice, Status, Target
from secondunit.queue.store import Delivery
from secondunit.queue.stores.memory_ports import MemoryOutbox
from secondunit.queue.value import replace
from secondunit.testing.clock import START, ManualClock
from secondunit.testing.jobs import NoJitter

DAY = timedelta(days=1)
OK = Delivered(200)
BUSY = TryLater("answered 503", 503)
DOWN = TryLater("connection refused")


def notice(job_id: str, host: str = "a", *, kind: str = "fake", at: datetime = START) -> Notice:
    return Notice(
        target=Target(kind, host),
        job_id=job_id,
        job_type="hls",
        status=Status.COMPLETED,
        epoch=1,
        at=at,
        result={"ok": True},
        error=None,
        duration=timedelta(seconds=2),
        source="api",
        labels={},
    )


class FakeSender:
    """Answers from a script by host (its last entry stays); a host that hangs answers once it is let go."""

    lifetime = DAY

    def __init__(self, **script: Sequence[Sent]) -> None:
        self.script = {host: list(answers) for host, answers in script.items()}
        self.tries: list[str] = []
        self.running: list[str] = []
        self.most_at_once = 0
        self.hanging: dict[str, asyncio.Event] = {}
        self.takes = 0.0
        self.clock = ManualClock()

    def host(self, delivery: Delivery) -> str:
        return delivery.notice.target.address

    def tells(self, delivery: Delivery) -> bool:
        return delivery.notice.status is not Status.FAILED

    def hang(self, host: str) -> asyncio.Event:
        self.hanging[host] = asyncio.Event()
        return self.hanging[host]

    async def send(self, delivery: Delivery) -> Sent:
        host = self.host(delivery)
        self.tries.append(delivery.id)
        self.running.append(host)
        self.most_at_once = max(self.most_at_once, len(self.running))
        try:
            if host in self.hanging:
                await self.hanging[host].wait()
            else:
                await self.clock.sleep(self.takes)
        finally:
            self.running.remove(host)
        answers = self.script.get(host, [OK])
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Scene:
    """A dispatcher over a memory outbox, on a clock that stands still."""

    def __init__(
        self, sender: FakeSender, *, limits: HostLimits | None = None, outbox: MemoryOutbox | None = None
    ) -> None:
        self.sender = sender
        self.outbox = outbox or MemoryOutbox()
        self.clock = ManualClock()
        self.tries: list[DeliveryTried] = []
        self.dispatcher = self.another(limits)

    def another(self, limits: HostLimits | None = None) -> Dispatcher:
        return Dispatcher(
            self.outbox,
            {"fake": self.sender},
            self.clock,
            NoJitter(),
            emit=self._hear,
            limits=limits,
        )

    def _hear(self, fact: Fact) -> None:
        assert isinstance(fact, DeliveryTried)
        self.tries.append(fact)

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        return [(tried.delivery.notice.target.kind, tried.outcome) for tried in self.tries]

    @property
    def dead(self) -> list[str]:
        return [tried.delivery.id for tried in self.tries if tried.outcome == "dead"]

    async def ended(self, *job_ids: str, host: str = "a", kind: str = "fake") -> None:
        for job_id in job_ids:
            self.outbox.add(notice(job_id, host, kind=kind, at=self.clock.now()))
        self.dispatcher.wake()
        await self.clock.settle()

    async def state(self, job_id: str) -> str:
        return (await self.outbox.of_job(job_id))[0].state


@asynccontextmanager
async def running(scene: Scene, dispatcher: Dispatcher | None = None) -> AsyncIterator[Scene]:
    task = asyncio.create_task((dispatcher or scene.dispatcher).run())
    await scene.clock.settle()
    try:
        yield scene
        assert not task.done(), "the loop ended by itself"
    finally:
        task.cancel()
        await asyncio.wait({task})


def delivery(**fields: object) -> Delivery:
    return replace(Delivery("j-1", notice("j"), "pending", 0, START, START), **fields)  # type: ignore[arg-type]
