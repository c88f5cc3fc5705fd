"""Process accounting of a child and all beneath it, out of /proc: CPU time and disk traffic show that it works."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from secondunit.queue.value import Value

TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
# A hung ffmpeg goes on printing its progress, at less than a thousandth of a core.
LEAST_CPU, LEAST_SHARE, LEAST_DISK = 0.05, 0.01, 64 * 1024


class Exertion(Value, frozen=True):
    """`cpu` seconds and `disk` bytes so far: of a process, those beneath it, and those that they have waited for.

    `read` and `written` are what `disk` sums. `memory` is what those that live have in it, and `processes` counts them.
    """

    cpu: float
    disk: int
    read: int = 0
    written: int = 0
    memory: int = 0
    processes: int = 0


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
    ticks, pages, processes, todo = 0, 0, 0, [pid]
    read = written = 0
    while todo:
        process = todo.pop()
        with suppress(OSError):  # it has ended
            fields = _stat(process)
            ticks += sum(map(int, fields[11:15]))
            pages += int(fields[21])
            processes += 1
            todo += map(int, _children(process))
        with suppress(OSError, LookupError):  # a kernel may not count bytes, or not for us
            fetched, put = _disk(process)
            read += fetched
            written += put
    return Exertion(ticks / TICKS, read + written, read, written, pages * PAGE, processes)


def _stat(process: int) -> list[bytes]:
    return Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()


def _children(process: int) -> Iterator[bytes]:
    for thread in Path(f"/proc/{process}/task").iterdir():
        yield from (thread / "children").read_bytes().split()


def _disk(process: int) -> tuple[int, int]:
    fields = dict(line.split(b": ") for line in Path(f"/proc/{process}/io").read_bytes().splitlines())
    return int(fields[b"read_bytes"]), int(fields[b"write_bytes"])
