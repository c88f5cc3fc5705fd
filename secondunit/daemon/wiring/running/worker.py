"""What runs jobs: the worker, who of them may start, and what is learned of them."""

from datetime import timedelta
from random import SystemRandom

from secondunit.daemon.monitoring.machine import disk_of, guard_of
from secondunit.daemon.process.bystanders import strays
from secondunit.daemon.wiring.components import World
from secondunit.daemon.wiring.running.locality import locality_of
from secondunit.queue.handler import Registry
from secondunit.queue.hub import Hub
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
