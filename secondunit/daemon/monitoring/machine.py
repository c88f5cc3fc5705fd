"""Admission control by load and memory of the machine: while there is too little, nothing more is started."""

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path

from secondunit.daemon.config.settings import Settings
from secondunit.queue.clock import Clock
from secondunit.queue.running.admission import Disk

MEMINFO = Path("/proc/meminfo")
AVAILABLE = re.compile(r"^MemAvailable:\s{0,20}([0-9]{1,15}) kB$", re.MULTILINE)
FRESH = 1.0


def shortage(load: float, memory: int | None, most_load: float | None, least_memory: int) -> str | None:
    """Why nothing more may be started, with the figures: `load` is per core, memory in bytes, None where unknown."""
    if memory is not None and memory < least_memory:
        asked = f"{least_memory >> 20} are to stay free (MIN_FREE_MEMORY_MB)"
        return f"{memory >> 20} MiB of memory are available, and {asked}"
    if most_load is not None and load > most_load:
        return f"the load is {load:.2f} per core, above {most_load:g} (MAX_LOAD)"
    return None


class MachineGuard:
    """Looks when it is asked, at most once a second."""

    def __init__(self, clock: Clock, most_load: float | None, least_memory: int, look: Callable[[], str]) -> None:
        self._clock = clock
        self._most_load = most_load
        self._least_memory = least_memory
        self._look = look
        self._said: str | None = None
        self._asked = float("-inf")

    async def __call__(self) -> str | None:
        """Why nothing more may be started now."""
        now = self._clock.monotonic()
        if now - self._asked >= FRESH:
            self._asked = now
            found = AVAILABLE.search(await asyncio.to_thread(self._look)) if self._least_memory else None
            memory = int(found[1]) * 1024 if found else None
            load = os.getloadavg()[0] / (os.cpu_count() or 1)
            self._said = shortage(load, memory, self._most_load, self._least_memory)
        return self._said


def guard_of(settings: Settings, clock: Clock) -> MachineGuard:
    """As the settings say."""
    return MachineGuard(clock, settings.max_load, settings.min_free_memory_mb << 20, meminfo)


def meminfo() -> str:
    """What the kernel says of the machine's memory; nothing where it does not."""
    try:
        return MEMINFO.read_text()
    except OSError:
        return ""


def disk_of(data_dir: Path) -> Callable[[str | None], Disk]:
    """The disk that a path lies on, or the nearest folder above it that is there; else, as without one, DATA_DIR's."""

    def look(path: str | None) -> Disk:
        folder = Path(path) if path and path.startswith("/") else data_dir
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        found = os.statvfs(folder)
        return Disk(folder.stat().st_dev, f"the disk of {folder}", found.f_bavail * found.f_frsize)

    return look
