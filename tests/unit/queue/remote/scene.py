"""A rig whose one type is leased."""

from datetime import timedelta
from typing import Any

from secondunit.queue.handler import HandlerSpec
from secondunit.queue.model import JobId
from secondunit.queue.ports.holders import RemoteHolder
from secondunit.queue.remote.holding import Holding
from secondunit.queue.remote.keeping import LeaseKeeper
from secondunit.queue.remote.leasing import Leasing
from secondunit.testing.jobs import BOOT, TTL
from secondunit.testing.rig import Numbered, Rig, SteadyRandom

WORKER = RemoteHolder("key", "w1")


async def _never(*_: Any) -> None:
    raise AssertionError("its jobs are leased")


SPEC = HandlerSpec("ocr", Numbered, _never, concurrency=3, timeout=timedelta(minutes=5), remote=True)


class Remote(Rig):
    """A rig whose one type is leased."""

    def __init__(self) -> None:
        super().__init__(SPEC)
        rng = SteadyRandom()
        self.leasing = Leasing(
            self.store, self.registry, self.hub, self.clock, rng, TTL, boot=BOOT, emit=self.facts.append
        )
        self.holding = Holding(self.leasing, self.store, self.hub, self.clock, rng, self.facts.append)

    def keeper(self) -> LeaseKeeper:
        return LeaseKeeper(self.leasing, self.store, self.clock, SteadyRandom(), self.facts.append)

    async def take(self, worker: RemoteHolder = WORKER, wait: float = 0) -> list[JobId]:
        return [one.job.id for one in await self.leasing.lease(worker, ["ocr"], 1, wait)]
