"""The composition root: the daemon from its settings, read top to bottom."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from random import SystemRandom
from typing import Any

import structlog
from aiohttp import ClientSession, ClientTimeout

from secondunit.daemon.callbacks import KIND, CallbackSender, signer
from secondunit.daemon.clock import SystemClock
from secondunit.daemon.config import BadConfig, Config, unserved
from secondunit.daemon.deliver import Deliverer
from secondunit.daemon.health import Box, Checkup
from secondunit.daemon.http.api import Api
from secondunit.daemon.joblog import JobLog, mode_lines
from secondunit.daemon.lifecycle import Stop, Systemd, drain, stop_on_signals, watch
from secondunit.daemon.listen import http_settings, listening
from secondunit.daemon.metrics import Metrics
from secondunit.daemon.plugins import Found, discover
from secondunit.daemon.settings import Settings
from secondunit.daemon.tidy import tidy
from secondunit.handlers.tools.addresses import AddressRule
from secondunit.handlers.tools.ffmpeg import find_media
from secondunit.handlers.tools.http import guarded_session
from secondunit.handlers.tools.paths import LocalFiles
from secondunit.handlers.tools.process import SEARCH_PATH, ProcessRunner
from secondunit.handlers.tools.toolbox import Tools
from secondunit.handlers.tools.workspace import WorkFolders
from secondunit.queue import leases, retention
from secondunit.queue.context import Hooks
from secondunit.queue.execution import House
from secondunit.queue.handler import Registry
from secondunit.queue.hub import Hub
from secondunit.queue.service import Queue
from secondunit.queue.store import Store
from secondunit.queue.stores.sqlite.store import open_store
from secondunit.queue.worker import Worker

CALLBACK_CONNECTIONS = 100
WORKER_COMES_ROUND = 20.0  # it does so every 5 s even when there is nothing to do
VERSION = version("secondunit")

log = structlog.get_logger(__name__)


async def serve(config: Config, systemd: Systemd) -> None:
    """Be the daemon until a signal, and drain; an exception group if a part died that must not."""
    settings = config.settings
    clock, boot = SystemClock(), secrets.token_hex(8)
    for warning in config.warnings:
        log.warning("config.odd", message=warning)
    with stop_on_signals() as stop:
        async with _store(settings) as store, _tools(settings, clock) as tools, _callbacks(settings) as session:
            work, joblog = WorkFolders(settings.data_dir), JobLog(clock)
            freed = await leases.reclaim(store, clock, boot, joblog.reclaimed)
            log.info("daemon.starting", message=f"starting as boot {boot}; {freed} jobs of an earlier one run again")
            await tidy(store, work)
            found = discover(tools, settings)
            _report(found, settings)
            world = World(settings, clock, boot, store, tools, work, session, joblog)
            parts = _compose(world, found)
            async with asyncio.TaskGroup() as group:
                await _run(group, world, parts, stop, systemd)


@dataclass(frozen=True, slots=True)
class World:
    """What is there before anything runs; `boot` names this life of the daemon."""

    settings: Settings
    clock: SystemClock
    boot: str
    store: Store
    tools: Tools
    work: WorkFolders
    session: ClientSession
    joblog: JobLog


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs."""

    worker: Worker
    queue: Queue
    metrics: Metrics
    deliverer: Deliverer
    api: Api


def _compose(world: World, found: Found) -> Parts:
    settings, clock, store = world.settings, world.clock, world.store
    registry, hub, random = Registry(found.specs), Hub(), SystemRandom()
    metrics = Metrics(store, tuple(registry), clock)
    hooks = Hooks(phase_ended=metrics.observe_phase)
    worker = Worker(
        House(store, hub, clock, random, world.work, hooks, world.joblog.raised),
        registry,
        boot=world.boot,
        ttl=timedelta(seconds=settings.lease_seconds),
        most=settings.max_concurrent_jobs,
    )
    queue = Queue(store, registry, hub, clock, random, interrupt=worker.stop_job, max_queued=settings.max_queued_jobs)
    secret = settings.callback_secret.get_secret_value() if settings.callback_secret else None
    senders = {KIND: CallbackSender(world.session, clock, signer(secret))}
    deliverer = Deliverer(store.outbox, senders, clock, random, log, on_sent=metrics.observe_delivery)
    api = Api(
        queue=queue,
        rule=AddressRule(settings.allow_private_addresses),
        clock=clock,
        metrics=metrics,
        health=Checkup(queue, _box(world, found), clock, metrics.degraded),
        retry_delivery=deliverer.retry,
        stopping=asyncio.Event(),
        version=VERSION,
        settings=http_settings(settings),
    )
    store.listen(hub.publish)
    hub.tap(world.joblog)
    hub.tap(metrics)
    hub.tap(lambda events: deliverer.wake() if any(event.status.ended for event in events) else None)
    return Parts(worker, queue, metrics, deliverer, api)


def _box(world: World, found: Found) -> Box:
    return Box(
        version=VERSION,
        boot=world.boot,
        name=world.settings.box,
        mode=world.settings.processor_mode,
        data_dir=world.settings.data_dir,
        media=world.tools.media,
        broken=found.broken,
        gemini=world.settings.gemini_api_key is not None,
        stall=timedelta(seconds=world.settings.stall_seconds),
    )


async def _run(group: asyncio.TaskGroup, world: World, parts: Parts, stop: Stop, systemd: Systemd) -> None:
    settings = world.settings
    loops = [group.create_task(loop) for loop in _loops(world, parts, systemd)]
    async with listening(parts.api, settings.host, settings.port, settings.control) as port:
        group.create_task(parts.worker.run())
        deliveries = group.create_task(parts.deliverer.run())
        _announce(settings, port, parts.queue)
        systemd.notifier.send(READY=1, STATUS=f"serving http://{settings.host}:{port}")
        await stop.asked.wait()
        parts.queue.draining = True
        await drain(parts.worker, stop, systemd.notifier, settings.drain_seconds)
        parts.api.stopping.set()
        parts.deliverer.stop()
        await deliveries
    for loop in loops:
        loop.cancel()
    log.info("daemon.stopped", message="drained; nothing runs any more")


def _loops(world: World, parts: Parts, systemd: Systemd) -> Sequence[Coroutine[Any, Any, None]]:
    """What goes on for ever, beside the worker, the deliverer and the sockets."""
    settings, clock, store = world.settings, world.clock, world.store

    async def alive() -> bool:
        """The writer answers (to a beat without leases), and the worker has come round."""
        await store.extend((), clock.now(), clock.now())
        return clock.monotonic() - parts.worker.ticked < WORKER_COMES_ROUND

    return (
        leases.keep(parts.worker, store, clock, clock_was_set=clock.was_set, on_reclaim=world.joblog.reclaimed),
        retention.forget(
            store,
            clock,
            timedelta(hours=settings.retention_hours),
            timedelta(hours=settings.retention_failed_hours),
            world.work.forget,
        ),
        retention.age(store, clock),
        watch(alive, parts.metrics.observe_lag, systemd),
    )


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[Store]:
    database = settings.database
    store = await open_store(database.path, synchronous=database.synchronous)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def _tools(settings: Settings, clock: SystemClock) -> AsyncIterator[Tools]:
    programs = ProcessRunner(sys.executable)
    try:
        files = LocalFiles(settings.roots)
    except OSError as error:
        raise BadConfig([f"MEDIA_ROOTS: {error.filename}: {error.strerror}; allowed: folders that exist"]) from None
    ffmpeg, ffprobe = (str(path) if path else None for path in (settings.ffmpeg_path, settings.ffprobe_path))
    media = await find_media(programs, ffmpeg, ffprobe, SEARCH_PATH, settings.data_dir)
    try:
        yield Tools(clock=clock, programs=programs, files=files, media=media, python=sys.executable)
    finally:
        files.close()


@asynccontextmanager
async def _callbacks(settings: Settings) -> AsyncIterator[ClientSession]:
    async with guarded_session(
        AddressRule(settings.allow_private_addresses),
        user_agent=f"secondunit/{VERSION}",
        timeout=ClientTimeout(total=60),
        connections=CALLBACK_CONNECTIONS,
        decompress=False,
    ) as session:
        yield session


def _report(found: Found, settings: Settings) -> None:
    for broken in found.broken:
        log.error("plugin.broken", message=f"{broken.source} can't be used: {broken.why}")
    for warning in unserved(settings, [spec.type for spec in found.specs]):
        log.warning("config.odd", message=warning)


def _announce(settings: Settings, port: int, queue: Queue) -> None:
    for line in mode_lines(settings):
        log.info("daemon.mode", message=line)
    types = ", ".join(sorted(queue.registry)) or "no job type"
    log.info("daemon.ready", message=f"serving {types} on http://{settings.host}:{port}", port=port)
