"""Factory of what one box at a time does for all of a queue, as far as this one can do it, and of who holds that."""

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any

from secondunit.daemon.automation.backend import Backend
from secondunit.daemon.automation.duty_keeper import DutyKeeper, Shift
from secondunit.daemon.automation.partial_retry import PartialRetrier
from secondunit.daemon.automation.poller import DUTY as POLLER
from secondunit.daemon.automation.poller import Poller
from secondunit.daemon.automation.schedule_rules import Schedule
from secondunit.daemon.automation.scheduler import DUTY as SCHEDULES
from secondunit.daemon.automation.scheduler import Scheduler
from secondunit.daemon.config.job_types import DiscoveredJobTypes
from secondunit.daemon.delivery.dispatcher import Dispatcher
from secondunit.daemon.wiring.backend import backend_of, poller_of
from secondunit.daemon.wiring.components import World
from secondunit.daemon.wiring.running.deliveries import dispatchers_of
from secondunit.queue.clock import Random
from secondunit.queue.model import Event
from secondunit.queue.ports.duties import Tenure
from secondunit.queue.service import Queue
from secondunit.queue.value import Value


class ForAll(Value, frozen=True):
    """What does it, the dispatchers by their duties; no poller where this box could not poll."""

    keeper: DutyKeeper
    dispatchers: Mapping[str, Dispatcher]
    scheduler: Scheduler
    poller: Poller | None
    retriers: Mapping[str, PartialRetrier]
    backend: Backend | None
    box: str

    @property
    def mode(self) -> tuple[Backend | None, Poller | None, Callable[[], str | None]]:
        """How active mode stands here: the backend, what polls it, and which box does."""
        return self.backend, self.poller, self.polled_by

    def polled_by(self) -> str | None:
        """The box that polls the backend for all; None where this one could not, or none does."""
        if self.poller is None:
            return None
        return self.box if self.poller.on_duty else self.keeper.holder(POLLER)

    def hear(self, events: Sequence[Event]) -> None:
        """A tap of the hub."""
        self.scheduler.hear(events)
        for retrier in self.retriers.values():
            retrier.hear(events)
        if self.poller:
            self.poller.hear(events)
        if any(event.status.ended for event in events):
            for dispatcher in self.dispatchers.values():
                dispatcher.wake()


def for_all(
    world: World,
    found: DiscoveredJobTypes,
    schedules: Sequence[Schedule],
    queue: Queue,
    random: Random,
    drained: Callable[[], bool],
) -> ForAll:
    """All of it. Retries of partial jobs are a duty for each type: not every box serves each.

    `drained`: an operator wants this box to begin nothing more.
    """
    settings, clock, store, emit = world.settings, world.clock, world.store, world.emit
    shared = settings.database.server is not None
    backend, results = backend_of(settings, world.operators, clock), world.watchers.results
    poller = poller_of(
        settings, world.tools.media, backend, queue, store.cache, clock, random, results=results, emit=emit
    )
    dispatchers = dispatchers_of(world, backend, random)
    scheduler = Scheduler(schedules, queue, store.schedules, store.audit, clock, emit, shared=shared)
    retriers = {spec.type: PartialRetrier(clock, [spec], emit) for spec in found.specs if spec.retry_partial}

    def shifts() -> Iterator[Shift]:
        for name, dispatcher in dispatchers.items():
            yield Shift(name, dispatcher.run, dispatcher.stop, drains=True)
        if schedules or not shared:  # a box that has none must not keep others from theirs
            yield Shift(SCHEDULES, scheduler.run)
        if poller:
            yield Shift(POLLER, poller.run)
        for type, retrier in retriers.items():
            yield Shift(f"retries of partial {type}", _retrying(retrier, queue))

    def draining() -> bool:
        return queue.draining or drained()

    keeper = DutyKeeper(store.duties, world.boot, clock, list(shifts()), shared=shared, draining=draining)
    return ForAll(keeper, dispatchers, scheduler, poller, retriers, backend, settings.box)


def _retrying(retrier: PartialRetrier, queue: Queue) -> Callable[[Tenure], Coroutine[Any, Any, None]]:
    return lambda _: retrier.run(queue)
