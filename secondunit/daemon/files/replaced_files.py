"""Janitor of replaced files: removes them once no player can still be reading the playlist that named them."""

from contextlib import suppress
from datetime import timedelta

from secondunit.handlers.tools.storage.ports import Files
from secondunit.queue.clock import Clock
from secondunit.queue.errors import StoreFull
from secondunit.queue.outcome import Transient
from secondunit.queue.ports.folders import Folders

KEPT = timedelta(minutes=10)
SWEEP_EVERY = 60.0
AT_ONCE = 10_000


async def forget_replaced(folders: Folders, files: Files, clock: Clock) -> None:
    """Look for ever; at first for what an earlier life of the daemon replaced."""
    while True:
        for replaced in await folders.replaced(clock.now() - KEPT, AT_ONCE):
            with suppress(OSError, Transient, StoreFull):  # what can't be removed, or forgotten, now is tried again
                await files.sweep(replaced)
                await folders.swept(replaced)
        await clock.sleep(SWEEP_EVERY)
