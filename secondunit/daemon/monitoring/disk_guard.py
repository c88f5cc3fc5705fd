"""Disk-space guard: new work is refused before what was promised has no room left, and taken again by itself."""

import asyncio
import shutil
from pathlib import Path

import structlog

from secondunit.queue.clock import Clock
from secondunit.queue.engine import DiskReserve
from secondunit.queue.errors import StoreFull

LOOK_EVERY = 2.0
FLOOR = 8 << 20

log = structlog.get_logger(__name__)


class DiskGuard:
    """Watches the disk of the database.

    It is full while less than 8 MiB are free (less than the reserve on a small disk), or the reserve, given up so that
    running jobs can settle, can't be set aside again.
    """

    def __init__(self, reserve: DiskReserve, clock: Clock) -> None:
        self.free = 0
        self.full = False
        self._reserve = reserve
        self._clock = clock

    @property
    def closed(self) -> bool:
        """Whether new work must not be taken."""
        return self.full or not self._reserve.held

    def admit(self) -> None:
        """StoreFull while new work must not be taken."""
        if self.closed:
            raise StoreFull("the disk is full: nothing was stored; free some space, the daemon goes on by itself")

    async def run(self) -> None:
        """Look for ever, and say when the disk becomes full and when it is no longer."""
        while True:
            full = await asyncio.to_thread(self._look)
            if full and not self.full:
                log.error("disk.full", message=f"{self.free >> 20} MiB are free; no new jobs are taken", free=self.free)
            elif self.full and not full:
                log.info("disk.room", message=f"{self.free >> 20} MiB are free again; jobs are taken", free=self.free)
            self.full = full
            await self._clock.sleep(LOOK_EVERY)

    def _look(self) -> bool:
        held = self._reserve.fill()
        self.free = self._reserve.free()
        return not held or self.free < min(FLOOR, self._reserve.size)


class NoReserve:
    """For a database whose disk is not ours to guard: nothing is set aside, and the disk of `folder` is watched."""

    held, size = True, FLOOR

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fill(self) -> bool:
        """There is nothing that could be missing."""
        return True

    def free(self) -> int:
        """What the folder's disk still has."""
        return shutil.disk_usage(self._folder).free
