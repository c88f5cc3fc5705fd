"""Room on the disk: new work is refused before there is none left for what was promised, and taken again by itself."""

import asyncio

import structlog

from secondunit.queue.clock import Clock
from secondunit.queue.errors import StoreFull
from secondunit.queue.stores.sqlite.ballast import Ballast, free_bytes

LOOK_EVERY = 2.0
FLOOR = 8 << 20

log = structlog.get_logger(__name__)


class DiskGuard:
    """Watches the disk of the database.

    It is full while less than 8 MiB are free (less than the ballast on a small disk), or the ballast, given up so that
    running jobs can settle, can't be taken back.
    """

    def __init__(self, ballast: Ballast, clock: Clock) -> None:
        self.free = 0
        self.full = False
        self._ballast = ballast
        self._clock = clock

    @property
    def closed(self) -> bool:
        """Whether new work must not be taken."""
        return self.full or not self._ballast.held

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
        held = self._ballast.fill()
        self.free = free_bytes(self._ballast.path.parent)
        return not held or self.free < min(FLOOR, self._ballast.size)
