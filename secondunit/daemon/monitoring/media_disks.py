"""Free-space watch of MEDIA_ROOTS: one loop for each, so that a mount that hangs hides no other."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from secondunit.handlers.tools.storage.free_space import free_bytes, lacking
from secondunit.queue.clock import Clock

LOOK_EVERY = 10.0
ANSWERS_WITHIN = timedelta(seconds=30)


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
    """The disks of all roots."""

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
            await self._clock.sleep(LOOK_EVERY)

    def _look(self, root: Path) -> MediaDisk:
        try:
            disk = os.statvfs(root)
            shared = root.stat().st_dev == self._data_dir.stat().st_dev
        except OSError as error:
            return MediaDisk(fault=error.strerror or str(error))
        return MediaDisk(free_bytes(disk), lacking(disk), shared=shared)
