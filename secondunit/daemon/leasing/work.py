"""What serves remote workers: it hands out jobs, keeps what they tell, and looks after the leases that are out."""

from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from secondunit.daemon.access.keyring import Keyring
from secondunit.daemon.leasing.artifacts import SentArtifacts
from secondunit.daemon.process.randomness import StockedRandom
from secondunit.queue.clock import Clock
from secondunit.queue.handler import Registry
from secondunit.queue.hub import Hub
from secondunit.queue.instrumentation import Sink
from secondunit.queue.remote.holding import Holding
from secondunit.queue.remote.keeping import LeaseKeeper
from secondunit.queue.remote.leasing import Leasing
from secondunit.queue.remote.tokens import LeaseTokens
from secondunit.queue.store import Store
from secondunit.queue.value import Value


class ArtifactFolder(Value, frozen=True):
    """Where artefacts lie, in the folders of their jobs beneath `work` of `box`; how many bytes of one and of a job.

    `admit` raises StoreFull while its disk takes nothing.
    """

    work: Path
    box: str
    limit: int
    in_all: int
    admit: Callable[[], None]


class RemoteWork(Value, frozen=True):
    """The parts; `tokens` names leases to their workers."""

    leasing: Leasing
    holding: Holding
    keeper: LeaseKeeper
    tokens: LeaseTokens
    artifacts: SentArtifacts

    def loops(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What runs for ever."""
        yield self.leasing.run()
        yield self.holding.run()
        yield self.keeper.run()
        if self.leasing.sightings.shared:
            yield self.leasing.sightings.run()


def here(types: Registry) -> Registry:
    """The types whose jobs the daemon runs itself."""
    return Registry(spec for spec in types.values() if not spec.remote)


def remote_work(
    ttl: timedelta,
    clock: Clock,
    store: Store,
    keys: Keyring,
    boot: str,
    *,
    emit: Sink,
    types: Registry,
    hub: Hub,
    files: ArtifactFolder,
) -> RemoteWork:
    """For the types that the configuration declares as remote."""
    random = StockedRandom()
    leased = Registry(spec for spec in types.values() if spec.remote)
    leasing = Leasing(store, leased, hub, clock, random, ttl, boot=boot, emit=emit)
    keys.listen(leasing.shut_out)
    holding = Holding(leasing, store, hub, clock, random, emit)
    keeper = LeaseKeeper(leasing, store, clock, random, emit)
    artifacts = SentArtifacts(files.work, files.box, store.steps, holding, files.limit, files.in_all, files.admit)
    return RemoteWork(leasing, holding, keeper, LeaseTokens(store.secret), artifacts)
