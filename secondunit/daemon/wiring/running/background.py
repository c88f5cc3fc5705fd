"""Background tasks that never end, beside worker, duties and sockets; one that dies takes the daemon with it."""

from collections.abc import Coroutine, Iterator
from datetime import timedelta
from typing import Any

from secondunit.daemon.files.replaced_files import forget_replaced
from secondunit.daemon.files.startup_cleanup import forget_pruned_elsewhere
from secondunit.daemon.monitoring.alerts import AlertHook
from secondunit.daemon.process.lifecycle import Systemd, watch
from secondunit.daemon.wiring.components import Components, World
from secondunit.daemon.wiring.running.locality import folders_of
from secondunit.queue import retention
from secondunit.queue.ids import box_of
from secondunit.queue.running import leases

WORKER_COMES_ROUND = 20.0  # it does so every 5 s even when there is nothing to do


def loops(world: World, components: Components, systemd: Systemd) -> Iterator[Coroutine[Any, Any, None]]:
    """Each of them, to be started."""
    settings, clock, store = world.settings, world.clock, world.store

    async def alive() -> bool:
        """The writer answers, and the worker has come round."""
        await store.engine.ping()
        return clock.monotonic() - components.worker.ticked < WORKER_COMES_ROUND

    kept, failed_kept = timedelta(hours=settings.retention_hours), timedelta(hours=settings.retention_failed_hours)
    secrets_of = components.queue.registry.secrets_of
    yield leases.keep(
        components.worker, store, clock, clock_was_set=clock.was_set, emit=world.emit, secrets_of=secrets_of
    )
    if box_of(world.boot):  # others share the queue
        yield leases.take_over(store, clock, world.boot, world.emit, secrets_of)
        yield forget_pruned_elsewhere(store, world.work, clock)
    yield components.presence.run()
    yield retention.forget(store, clock, kept, failed_kept, world.work.forget)
    yield retention.strike(store, clock, components.queue.registry)
    yield retention.age(store, clock)
    yield store.engine.watch(clock)
    yield world.keys.run()
    yield components.admission.run()
    yield components.experience.run()
    yield components.disk.run()
    yield components.media.run()
    yield components.uploads.run(components.queue)
    yield forget_replaced(folders_of(settings, store), world.tools.files, clock)
    yield watch(alive, world.emit, systemd)
    yield from components.remote.loops()
    yield components.checkup.run()
    if world.watchers.alerts and settings.alert_url:
        yield world.watchers.alerts.run(AlertHook(world.operators, settings.alert_url.get_secret_value()))
