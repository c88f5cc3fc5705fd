"""System report: what the daemon runs on, and how that stands; blocks no loop, and asks programs once."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from secondunit.daemon.files.backups import Copy
from secondunit.daemon.sight.loop_lag import LoopLag
from secondunit.daemon.sight.programs import Program
from secondunit.queue.value import Value

STATUS = Path("/proc/self/status")
MEMORY = re.compile(r"^Vm(RSS|HWM):\s{0,20}([0-9]{1,15}) kB$", re.MULTILINE)


class DiskState(Value, frozen=True):
    """A disk as it was last seen: bytes free, or why it can't be looked at."""

    name: str
    free: int | None
    fault: str | None = None


class System(Value, frozen=True):
    """All of it; sizes are bytes, lags seconds, `exposure` 0 to 10. None where it is not known."""

    programs: Sequence[Program]
    exposure: float | None
    disks: Sequence[DiskState]
    database: int | None
    wal: int | None
    backup: Copy | None
    lag: float | None
    largest_lag: float | None
    memory: int | None
    peak_memory: int | None
    sandbox: Mapping[str, object]


class SystemReport:
    """Looks at the box when somebody asks. `database` is its file."""

    def __init__(
        self,
        programs: Callable[[], Awaitable[tuple[Sequence[Program], float | None]]],
        disks: Callable[[], Sequence[DiskState]],
        database: Path | None,
        backup: Callable[[], Awaitable[Copy | None]],
        lag: LoopLag,
        sandbox: Mapping[str, object],
    ) -> None:
        self._programs = programs
        self._disks = disks
        self._database = database
        self._backup = backup
        self._lag = lag
        self._sandbox = sandbox

    async def __call__(self) -> System:
        """As it is now."""
        programs, exposure = await self._programs()
        database, wal, memory = await asyncio.to_thread(self._measured)
        return System(
            programs=programs,
            exposure=exposure,
            disks=self._disks(),
            database=database,
            wal=wal,
            backup=await self._backup(),
            lag=self._lag.last,
            largest_lag=self._lag.largest,
            memory=memory.get("RSS"),
            peak_memory=memory.get("HWM"),
            sandbox=self._sandbox,
        )

    def _measured(self) -> tuple[int | None, int | None, Mapping[str, int]]:
        sizes = [_size(self._database, suffix) for suffix in ("", "-wal")]
        found = MEMORY.findall(STATUS.read_text("utf-8", "replace"))
        return sizes[0], sizes[1], {name: int(kib) * 1024 for name, kib in found}


def _size(database: Path | None, suffix: str) -> int | None:
    try:
        return database.with_name(database.name + suffix).stat().st_size if database else None
    except OSError:
        return None
