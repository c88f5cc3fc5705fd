"""Janitor of replaced files: removes them once no player can still be reading the playlist that named them."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from secondunit.handlers.tools.storage.replaced import sweep_replaced
from secondunit.queue.clock import Clock

KEPT = timedelta(minutes=10)
SWEEP_EVERY = 60.0


async def forget_replaced(roots: Sequence[Path], clock: Clock) -> None:
    """Look for ever; at first for what an earlier life of the daemon replaced."""
    while True:
        await asyncio.to_thread(sweep_replaced, roots, clock.now() - KEPT)
        await clock.sleep(SWEEP_EVERY)
