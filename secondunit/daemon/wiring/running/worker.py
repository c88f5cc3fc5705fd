"""What runs jobs: the worker, who of them may start, and what is learned of them."""

from collections.abc import Iterable
from datetime import timedelta
from random import SystemRandom

from secondunit.daemon.config.settings import Settings
from secondunit.daemon.monitoring.machine import disk_of, guard_of
from secondunit.daemon.process.bystanders import strays
from secondunit.daemon.wiring.components import World
from secondunit.queue.handler import Registry
from secondunit.queue.hub import Hub
from secondunit.queue.payloads.locality import Locality
from secondunit.queue.running.admission import Admission
from secondunit.queue.running.execution import Runtime
from secondunit.queue.running.experience import Experience
from secondunit.queue.running.worker import Worker


def worker_of(world: World, registry: Registry, hub: Hub) -> tuple[Worker, Admission, Experience]:
    """The three, put together by the settings."""
    store, clock, settings = world.store, world.clock, world.settings
    reserving = [type for type, spec in registry.items() if spec.reserve]
    admission = Admission(store, hub, clock, reserving, settings.min_free_mb << 20, disk_of(settings.data_dir))
    experience = Experience(store, registry, clock, world.emit, admission.reserved)
    here = locality_of(settings, registry)
    runtime = Runtime(
        store, hub, clock, SystemRandom(), world.work, world.emit, strays, world.telemetry.traced,
        experience.measured, guard_of(settings, clock), experience.over, here,
    )  # fmt: skip
    ttl, most = timedelta(seconds=settings.lease_seconds), settings.max_concurrent_jobs
    worker = Worker(runtime, registry, boot=world.boot, ttl=ttl, most=most, locality=here)
    return worker, admission, experience


def locality_of(settings: Settings, types: Iterable[str]) -> Locality:
    """What of the queue is this box's; settings spell the types with underscores."""
    most = settings.global_concurrency
    overall = {type: most[key] for type in types if (key := type.replace("-", "_")) in most}
    shared = [str(folder) for folder in settings.shared_roots]
    return Locality(settings.box, shared, overall, alone=settings.database.server is None)
