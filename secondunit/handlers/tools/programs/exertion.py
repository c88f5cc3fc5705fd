"""Process accounting of a child and all beneath it, out of /proc: CPU time and disk traffic show that it works."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
# A hung ffmpeg goes on printing its progress, at less than a thousandth of a core.
LEAST_CPU, LEAST_SHARE, LEAST_DISK = 0.05, 0.01, 64 * 1024


@dataclass(frozen=True, slots=True)
class Exertion:
    """`cpu` seconds and `disk` bytes so far: of a process, those beneath it, and those that they have waited for."""

    cpu: float
    disk: int


class ExertionMeter:
    """Tells work from idling: by what was done since the last work that was seen, `now` in seconds."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._then = Exertion(0.0, 0)

    def works(self, now: float, so_far: Exertion) -> bool:
        """Whether a hundredth of a core was in use, or the disk."""
        cpu, disk = so_far.cpu - self._then.cpu, so_far.disk - self._then.disk
        if cpu < max(LEAST_CPU, LEAST_SHARE * (now - self._since)) and disk < LEAST_DISK:
            return False
        self._since, self._then = now, so_far
        return True


def exertion(pid: int) -> Exertion:
    """What the process and its tree did so far. Blocking, for as long as a few small files in /proc take."""
    ticks, disk, todo = 0, 0, [pid]
    while todo:
        process = todo.pop()
        with suppress(OSError):  # it has ended
            ticks += _ticks(process)
            todo += map(int, _children(process))
        with suppress(OSError, LookupError):  # a kernel may not count bytes, or not for us
            disk += _disk(process)
    return Exertion(ticks / TICKS, disk)


def _ticks(process: int) -> int:
    return sum(map(int, Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[11:15]))


def _children(process: int) -> Iterator[bytes]:
    for thread in Path(f"/proc/{process}/task").iterdir():
        yield from (thread / "children").read_bytes().split()


def _disk(process: int) -> int:
    fields = dict(line.split(b": ") for line in Path(f"/proc/{process}/io").read_bytes().splitlines())
    return int(fields[b"read_bytes"]) + int(fields[b"write_bytes"])
