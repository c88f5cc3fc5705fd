"""Factory of the page that is scraped: whom it asks for figures, and what stays the same while the daemon runs."""

from collections.abc import Callable, Mapping
from datetime import datetime

from secondunit.daemon.config.settings import Settings
from secondunit.daemon.files import backups
from secondunit.daemon.files.backups import Copy
from secondunit.daemon.monitoring.disk_guard import DiskGuard
from secondunit.daemon.monitoring.inspection import Roots, Watched
from secondunit.daemon.monitoring.prometheus.exposition import Exposition, Standing
from secondunit.daemon.wiring.components import World
from secondunit.handlers.tools.programs.sandbox.measuring import Measured
from secondunit.queue.handler import Registry

DATA = "data"


def exposition_of(
    world: World,
    version: str,
    registry: Registry,
    lanes: Callable[[], Mapping[str, int]],
    disk: DiskGuard,
    parts: Watched,
) -> Exposition:
    """The page, and the types that are named on it from now on."""
    store, clock, gemini = world.store, world.clock, world.tools.gemini

    def polled() -> datetime | None:
        return parts.poller.state.answered_at if parts.poller else None

    async def backup() -> Copy | None:
        return await backups.last(store.cache, clock.now())

    world.watchers.metrics.serve(tuple(registry))
    standing = Standing(
        slots={type: spec.concurrency for type, spec in registry.items()},
        info=_info(world.settings, version),
        sandbox=_layers(world.sandbox),
        budget=gemini.budget if gemini else None,
        disks=lambda: _free(disk, parts.media),
        lanes=lanes,
        polled=polled if parts.poller else None,
        backup=backup,
        boxes=parts.boxes,
    )
    return Exposition(world.watchers.metrics, store, clock, standing)


def _info(settings: Settings, version: str) -> Mapping[str, str]:
    return {"version": version, "box": settings.box, "mode": settings.processor_mode}


def _layers(found: Measured) -> Mapping[str, bool]:
    layers = found.describe()
    names = {"landlock": "landlock", "seccomp": "seccomp", "proxyOnly": "proxy_only"}
    return {name: bool(layers[key]) for key, name in names.items()} | {"whole": found.whole}


def _free(disk: DiskGuard, media: Roots) -> Mapping[str, int]:
    """Bytes free, as the guards last saw them; of a root that does not answer nothing is known."""
    roots = {str(root): seen.free for root, seen in media.seen.items() if seen.free is not None and not seen.fault}
    return {DATA: disk.free} | roots
