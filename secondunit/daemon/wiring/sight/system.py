"""System report factory: whom it asks, of this daemon."""

import sys
from collections.abc import Sequence

from secondunit.daemon.files import backups
from secondunit.daemon.files.backups import Copy
from secondunit.daemon.monitoring.disk_guard import DiskGuard
from secondunit.daemon.monitoring.inspection import Roots
from secondunit.daemon.sight.programs import KnownPrograms
from secondunit.daemon.sight.system import DiskState, SystemReport
from secondunit.daemon.wiring.components import World
from secondunit.handlers.tools.programs.runner import SEARCH_PATH, ProcessRunner

DATA = "data"


def system_of(world: World, disk: DiskGuard, media: Roots) -> SystemReport:
    """Its programs run unconfined: they are the system's own, and read nothing of anybody's."""
    runner = ProcessRunner(sys.executable)
    programs = KnownPrograms(runner, world.tools.media, world.store.engine.versions, sys.executable, SEARCH_PATH)

    def disks() -> Sequence[DiskState]:
        roots = [DiskState(str(root), seen.free, seen.fault) for root, seen in media.seen.items()]
        return [DiskState(DATA, disk.free), *roots]

    async def backup() -> Copy | None:
        return await backups.last(world.store.cache, world.clock.now())

    database, lag = world.settings.database.path, world.watchers.lag
    return SystemReport(programs, disks, database, backup, lag, world.sandbox.describe())
