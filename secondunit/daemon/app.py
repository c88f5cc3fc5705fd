"""Composition root: the daemon from its settings, read top to bottom."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import structlog

from secondunit.daemon.automation.backend_results import BackendResults
from secondunit.daemon.automation.schedule_rules import Schedule
from secondunit.daemon.config.job_types import DiscoveredJobTypes, discover
from secondunit.daemon.config.loader import Config
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.config.sources import load_ahead, ours
from secondunit.daemon.dashboard.figures import Spending
from secondunit.daemon.files.artifacts import JobArtifacts
from secondunit.daemon.files.backups import take
from secondunit.daemon.files.startup_cleanup import tidy
from secondunit.daemon.files.uploads import Uploads
from secondunit.daemon.http.connection_limits import descriptors_allowed
from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract.trailtag import items_of
from secondunit.daemon.http.listeners import http_settings, listening
from secondunit.daemon.http.partial_data import PartialData
from secondunit.daemon.leasing.work import ArtifactFolder, RemoteWork, here, remote_work
from secondunit.daemon.monitoring.alerts import Alerts
from secondunit.daemon.monitoring.bucket_troubles import BucketTroubles
from secondunit.daemon.monitoring.delivery_log import DeliveryLog
from secondunit.daemon.monitoring.disk_guard import DiskGuard, MediaDisks, NoReserve
from secondunit.daemon.monitoring.health import Checkup
from secondunit.daemon.monitoring.inspection import Box, Watched
from secondunit.daemon.monitoring.job_log import JobLog
from secondunit.daemon.monitoring.poison import PoisonedJobs
from secondunit.daemon.monitoring.prometheus.metrics import Metrics
from secondunit.daemon.process import garbage_collector as garbage
from secondunit.daemon.process.clock import SystemClock
from secondunit.daemon.process.exit_codes import DRAINED
from secondunit.daemon.process.lifecycle import (
    LAST_WORDS,
    Host,
    Stop,
    beat,
    beside,
    drain,
    keep_lines,
    stop_on_signals,
    vital,
)
from secondunit.daemon.process.randomness import StockedRandom
from secondunit.daemon.sight.boxes import KnownBoxes
from secondunit.daemon.sight.loop_lag import LoopLag
from secondunit.daemon.wiring.analyses import analyses_of, locations_of
from secondunit.daemon.wiring.capabilities import Capabilities
from secondunit.daemon.wiring.components import Components, Watchers, World
from secondunit.daemon.wiring.database import boot_of, store_of
from secondunit.daemon.wiring.keys import keyring_of
from secondunit.daemon.wiring.resources import VERSION, sessions_of, tools_of
from secondunit.daemon.wiring.running.background import loops
from secondunit.daemon.wiring.running.deliveries import lanes_of, retried_by
from secondunit.daemon.wiring.running.duties import ForAll, for_all
from secondunit.daemon.wiring.running.locality import locality_of
from secondunit.daemon.wiring.running.presence import address_of, entered, presence_of
from secondunit.daemon.wiring.running.worker import worker_of
from secondunit.daemon.wiring.schedules import schedules_of
from secondunit.daemon.wiring.sight import announcing
from secondunit.daemon.wiring.sight.answers import answers_of
from secondunit.daemon.wiring.sight.dashboard import pages_of
from secondunit.daemon.wiring.sight.doctor import doctor_of
from secondunit.daemon.wiring.sight.metrics import exposition_of
from secondunit.daemon.wiring.telemetry import telemetry_of
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.handlers.tools.storage.workspace import WorkFolders
from secondunit.queue.errors import StoreFull
from secondunit.queue.handler import Registry
from secondunit.queue.hub import Hub
from secondunit.queue.ids import ran_on
from secondunit.queue.instrumentation import Sinks
from secondunit.queue.model import Event
from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.ports.engine import Snapshot
from secondunit.queue.running import leases
from secondunit.queue.running.worker import Worker
from secondunit.queue.service import Queue
from secondunit.queue.state import QueueLimits
from secondunit.queue.store import Store

log = structlog.get_logger(__name__)


async def serve(config: Config, host: Host, asked: Awaitable[Capabilities]) -> None:
    """Be the daemon until a signal, and drain; an exception group if a part died that must not.

    `asked` comes with what the machine can do.
    """
    settings = config.settings
    clock, boot, stop = SystemClock(), boot_of(settings.database, settings.box), Stop(host.leave)
    watchers = _watchers(settings, clock)
    async with AsyncExitStack() as stack:
        stack.enter_context(stop_on_signals(stop))
        telemetry = await stack.enter_async_context(telemetry_of(settings, clock, VERSION))
        emit = Sinks(JobLog(clock), DeliveryLog(), *watchers.sinks(), *telemetry.sinks)
        await stack.enter_async_context(beside(beat(host.switch), keep_lines(host.log, emit)))
        for warning in config.warnings:
            log.warning("config.odd", message=warning)
        store = await stack.enter_async_context(store_of(settings.database, clock))
        await load_ahead(ours())
        can = await asked
        tools = await stack.enter_async_context(tools_of(settings, clock, store, emit, can))
        session, operators = await stack.enter_async_context(sessions_of(settings))
        work = WorkFolders(settings.data_dir)
        found = discover(tools, settings)
        schedules = schedules_of(settings, found)
        registry = found.registry(shared=settings.database.shared)
        box = await entered(settings, store, clock, boot, here(registry), VERSION)
        freed = await leases.reclaim(store, clock, boot, emit, registry.secrets_of)
        log.info("daemon.starting", message=f"starting as boot {boot}; {freed} jobs of an earlier one run again")
        await tidy(store, work, settings.roots)
        announcing.report(found, settings)
        keys = await keyring_of(settings, store, clock)
        world = World(
            host, settings, clock, boot, store, keys, can.sandbox, tools, work, session, operators, watchers, telemetry,
            emit, config.origins,
        )  # fmt: skip
        components = _compose(world, found, schedules, box)
        await components.scheduler.start()
        await components.remote.keeper.start()
        async with asyncio.TaskGroup() as group:
            await _run(group, world, components, stop, host)
        host.leave(LAST_WORDS, DRAINED)


def _compose(world: World, found: DiscoveredJobTypes, schedules: Sequence[Schedule], box: BoxRow) -> Components:
    settings, clock, store, emit = world.settings, world.clock, world.store, world.emit
    random, registry, hub = StockedRandom(), found.registry(shared=settings.database.shared), Hub(emit)
    worker, admission, experience = worker_of(world, here(registry), hub)
    presence, boxes = presence_of(world, box, worker.hold)
    disk = DiskGuard(store.engine.reserve or NoReserve(settings.data_dir), clock)
    remote = _remote(world, worker, registry, hub, disk)
    queue = Queue(
        store, registry, hub, clock, random,
        stop=worker.stop_run, lose=worker.lose, coming=worker.look, admit=disk.admit,
        limits=QueueLimits(settings.max_queued_jobs, settings.max_queued_per_key),
        locality=locality_of(settings, registry),
    )  # fmt: skip
    duties = for_all(world, found, schedules, queue, random, lambda: presence.box.drained)
    media = MediaDisks(settings.roots, settings.data_dir, clock)
    parts = _watched(world, disk, media, duties, boxes)
    checkup = Checkup(queue, _box(world, found), parts, clock, emit)
    uploads = Uploads(settings.uploads, settings.max_upload_mb << 20, clock, found.known)
    api = Api(
        queue=queue,
        keys=world.keys,
        audit=store.audit,
        schedules=duties.scheduler,
        rule=AddressRule(settings.allow_private_addresses),
        clock=clock,
        metrics=exposition_of(world, VERSION, registry, lanes_of(duties.dispatchers), disk, parts),
        emit=emit,
        health=checkup,
        doctor=doctor_of(world, checkup, VERSION, boxes, remote.leasing),
        retry_delivery=retried_by(duties.dispatchers),
        backup=_backup(world, {type: spec.secrets for type, spec in registry.items() if spec.secrets}),
        stopping=asyncio.Event(),
        version=VERSION,
        partial_data=PartialData(world.boot, items_of),
        answers=answers_of(
            world, found, queue, worker, experience, disk, media, remote=remote, boxes=boxes, mode=duties.mode
        ),
        settings=http_settings(settings, descriptors_allowed()),
        analyses=analyses_of(world, uploads, disk),
        artifacts=_artifacts(world, found, remote),
        locations=locations_of(world),
        remote=remote,
    )
    _tap(store, hub, uploads.hear, api.partial_data.hear, duties.hear)
    rest = (duties.keeper, disk, media, duties.poller, checkup, uploads, duties.scheduler, remote)
    return Components(worker, admission, experience, presence, queue, *rest, api)


def _watched(world: World, disk: DiskGuard, media: MediaDisks, duties: ForAll, boxes: KnownBoxes) -> Watched:
    watchers, gemini, geocoder = world.watchers, world.tools.gemini, world.tools.geocoder
    return Watched(
        world.store.engine, disk, world.host.log, watchers.poisoned, media, watchers.buckets, duties.scheduler,
        duties.poller, gemini, geocoder, duties.polled_by, boxes,
    )  # fmt: skip


def _remote(world: World, worker: Worker, types: Registry, hub: Hub, disk: DiskGuard) -> RemoteWork:
    limit, in_all = world.settings.max_upload_mb << 20, world.settings.max_download_mb << 20
    files = ArtifactFolder(world.work.root, world.settings.box, limit, in_all, disk.admit)
    return remote_work(
        worker.ttl, world.clock, world.store, world.keys, world.boot,
        emit=world.emit, types=types, hub=hub, files=files,
    )  # fmt: skip


def _artifacts(world: World, found: DiscoveredJobTypes, remote: RemoteWork) -> JobArtifacts:
    tools, box = world.tools, ran_on(world.boot)
    return JobArtifacts(tools.files, world.work.log_of, found.known, tools.buckets, remote.artifacts.files, box)


def _tap(store: Store, hub: Hub, *hears: Callable[[Sequence[Event]], None]) -> None:
    store.listen(hub.publish)
    for hear in hears:
        hub.tap(hear)


def _watchers(settings: Settings, clock: SystemClock) -> Watchers:
    after = timedelta(minutes=settings.alert_after_minutes)
    alerts = Alerts(after, clock, settings.box) if settings.alert_url else None
    return Watchers(
        Metrics(clock), PoisonedJobs(clock), BucketTroubles(clock), BackendResults(), Spending(clock), LoopLag(), alerts
    )


def _backup(world: World, secrets: Mapping[str, Collection[str]]) -> Callable[[Path, int | None], Awaitable[Snapshot]]:
    async def backup(target: Path, keep: int | None) -> Snapshot:
        return await take(world.store, target, keep, world.clock.now(), secrets)

    return backup


def _box(world: World, found: DiscoveredJobTypes) -> Box:
    return Box(
        version=VERSION,
        engine=world.store.engine.versions,
        boot=world.boot,
        name=world.settings.box,
        mode=world.settings.processor_mode,
        data_dir=world.settings.data_dir,
        media=world.tools.media,
        browser=world.tools.downloads.describe_browser() if world.tools.downloads else {},
        sandbox=world.sandbox.describe(),
        broken=found.broken,
        gemini=world.settings.gemini_api_key is not None,
        stall=timedelta(seconds=world.settings.stall_seconds),
        failed_jobs=world.settings.alert_failed_jobs,
    )


@asynccontextmanager
async def _turned_away(components: Components) -> AsyncIterator[None]:
    """However this ends, whoever waits for an answer gets one: the socket is closed only when none is open."""
    try:
        yield
    finally:
        components.remote.leasing.drain()
        components.api.stopping.set()


async def _run(group: asyncio.TaskGroup, world: World, components: Components, stop: Stop, host: Host) -> None:
    settings, systemd = world.settings, host.systemd
    endless = [group.create_task(vital(loop, host.leave)) for loop in loops(world, components, systemd)]
    pages = pages_of(world, components.api)
    async with (
        listening(components.api, settings.host, settings.port, settings.control, pages) as port,
        _turned_away(components),
    ):
        group.create_task(vital(components.worker.run(), host.leave))
        duties = group.create_task(vital(components.duties.run(), host.leave))
        garbage.settle()
        await components.presence.serves_at(address_of(settings, port))
        announcing.announce(world, port, components)
        systemd.notifier.send(READY=1, STATUS=f"serving http://{settings.host}:{port}")
        await stop.asked.wait()
        with suppress(StoreFull):
            await world.store.stopping(world.boot)
        await components.presence.turn("stopping")
        components.queue.draining = True
        components.duties.wake()
        components.remote.leasing.drain()
        await drain(components.worker, stop, systemd.notifier, settings.drain_seconds)
        components.api.stopping.set()
        components.duties.end()
        await duties
    for loop in endless:
        loop.cancel()
    with suppress(StoreFull):
        await world.keys.note()
    await components.experience.note()
    await components.presence.turn("ended")
    log.info("daemon.stopped", message="drained; nothing runs any more")
