"""What the endpoints that explain the queue answer from."""

from collections.abc import Callable

from secondunit.daemon.automation.backend import Backend
from secondunit.daemon.automation.poller import Poller
from secondunit.daemon.config.job_types import DiscoveredJobTypes
from secondunit.daemon.leasing.work import RemoteWork
from secondunit.daemon.monitoring.disk_guard import DiskGuard
from secondunit.daemon.monitoring.inspection import Roots
from secondunit.daemon.sight.answers import Answers
from secondunit.daemon.sight.boxes import KnownBoxes
from secondunit.daemon.sight.errors import ErrorGroups
from secondunit.daemon.sight.explainer import Explainer
from secondunit.daemon.sight.forecast import Forecast
from secondunit.daemon.sight.stats import QueueStatistics
from secondunit.daemon.sight.types import ServedTypes
from secondunit.daemon.wiring.backend import status_of
from secondunit.daemon.wiring.components import World
from secondunit.daemon.wiring.sight.system import system_of
from secondunit.queue.running.experience import Experience
from secondunit.queue.running.worker import Worker
from secondunit.queue.service import Queue


def answers_of(
    world: World,
    found: DiscoveredJobTypes,
    queue: Queue,
    worker: Worker,
    experience: Experience,
    disk: DiskGuard,
    media: Roots,
    *,
    remote: RemoteWork,
    boxes: KnownBoxes,
    mode: tuple[Backend | None, Poller | None, Callable[[], str | None]],
) -> Answers:
    """Why jobs wait, what is served, what failed, what happened, on what it all runs, and how active mode stands."""
    store = world.store
    here, registry, clock, paid = queue.locality, queue.registry, world.clock, world.tools.gemini
    explain = Explainer(store, registry, clock, worker.load, disk, paid, remote.leasing, boxes=boxes, locality=here)
    forecast = Forecast(store, registry, clock, worker.load, experience, explain.held, here)
    errors, stats = ErrorGroups(store, world.clock), QueueStatistics(store, world.clock)
    types = ServedTypes(queue, store, found.sources, remote.leasing.workers)
    system = system_of(world, disk, media)
    status = status_of(world.settings, world.tools.media, *mode, world.watchers.results)
    return Answers(explain, forecast, types, errors, stats, system, boxes, status)
