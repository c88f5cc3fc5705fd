"""Disk-space guards: of the database's disk, which refuses new work in time, and of those where MEDIA_ROOTS lie."""

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from secondunit.handlers.tools.storage.free_space import free_bytes, lacking
from secondunit.queue.clock import Clock
from secondunit.queue.errors import StoreFull
from secondunit.queue.ports.engine import DiskReserve

LOOK_EVERY = 2.0
FLOOR = 8 << 20
MEDIA_EVERY, ANSWERS_WITHIN = 10.0, timedelta(seconds=30)

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
            await self._clock.tick(LOOK_EVERY)

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


@dataclass(slots=True)
class MediaDisk:
    """The disk of a root, as last seen: bytes free, why nothing can be written, why it can't be looked at.

    `asked` is since when it has owed an answer; `shared` that it is the disk of DATA_DIR.
    """

    free: int | None = None
    lacking: str | None = None
    fault: str | None = None
    asked: datetime | None = None
    shared: bool = False


class MediaDisks:
    """Watches the disks of all roots, each in a loop of its own, so that a mount that hangs hides no other."""

    def __init__(self, roots: Sequence[Path], data_dir: Path, clock: Clock) -> None:
        self._data_dir = data_dir
        self._clock = clock
        self._disks = {root: MediaDisk() for root in roots}

    @property
    def seen(self) -> Mapping[Path, MediaDisk]:
        """How each stands; one that does not answer has that as its fault."""
        for disk in self._disks.values():
            if disk.asked and self._clock.now() - disk.asked > ANSWERS_WITHIN:
                disk.fault = f"it has not answered for {(self._clock.now() - disk.asked) // timedelta(seconds=1)} s"
        return self._disks

    async def run(self) -> None:
        """Look for ever."""
        async with asyncio.TaskGroup() as group:
            for root in self._disks:
                group.create_task(self._watch(root))

    async def _watch(self, root: Path) -> None:
        while True:
            self._disks[root].asked = self._clock.now()
            self._disks[root] = await asyncio.to_thread(self._look, root)
            await self._clock.tick(MEDIA_EVERY)

    def _look(self, root: Path) -> MediaDisk:
        try:
            disk = os.statvfs(root)
            shared = root.stat().st_dev == self._data_dir.stat().st_dev
        except OSError as error:
            return MediaDisk(fault=error.strerror or str(error))
        return MediaDisk(free_bytes(disk), lacking(disk), shared=shared)
