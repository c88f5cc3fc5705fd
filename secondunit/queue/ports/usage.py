"""Resource accounting of a run: what all of its programs took, told by who runs them and kept with the job."""

import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, TypeGuard

from secondunit.queue.value import Value

KEY = "resources"


class Usage(Value, frozen=True):
    """CPU seconds, bytes of memory at the peak, bytes from and to the disk, processes at the peak."""

    cpu: float = 0.0
    memory: int = 0
    read: int = 0
    written: int = 0
    processes: int = 0


NOTHING = Usage()


class Meter:
    """What the programs of one run took so far: sums, and peaks of those that ran at the same time."""

    def __init__(self) -> None:
        self._total = NOTHING
        self._running: dict[object, Usage] = {}

    def seen(self, program: object, usage: Usage) -> None:
        """How a program that runs stands; it may be told often."""
        self._running[program] = usage
        self._total = _peaked(self._total, list(self._running.values()))

    def ended(self, program: object, usage: Usage) -> None:
        """All that a program took, by the kernel's account; what was seen of it counts where that saw less."""
        last = self._running.get(program, Usage())
        whole = Usage(
            max(usage.cpu, last.cpu),
            max(usage.memory, last.memory),
            max(usage.read, last.read),
            max(usage.written, last.written),
            max(usage.processes, last.processes, 1),
        )
        self.seen(program, whole)
        del self._running[program]
        self._total = added(self._total, Usage(whole.cpu, 0, whole.read, whole.written, 0))

    def figures(self, stats: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """A job's stats with this run added to what its earlier ones took; as they were if no program ran."""
        total = _summed(self._total, self._running.values())
        if total == NOTHING:
            return stats
        return {**(stats or {}), KEY: _told(added(_stored(stats), total))}


def cpu_of(stats: Mapping[str, Any] | None) -> float:
    """The CPU seconds that all programs of a job took, as its stats have it."""
    return float(_stored(stats).cpu)


def is_figure(value: object) -> TypeGuard[float]:
    """Whether a handler told a number from 0 up, and one that a float can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max


def added(one: Usage, other: Usage) -> Usage:
    """What both took, one after the other."""
    return Usage(
        one.cpu + other.cpu,
        max(one.memory, other.memory),
        one.read + other.read,
        one.written + other.written,
        max(one.processes, other.processes),
    )


def _peaked(total: Usage, running: list[Usage]) -> Usage:
    memory, processes = sum(one.memory for one in running), sum(one.processes for one in running)
    return added(total, Usage(memory=memory, processes=processes))


def _summed(total: Usage, running: Any) -> Usage:
    for one in running:
        total = added(total, one)
    return total


def _told(usage: Usage) -> Mapping[str, Any]:
    return {
        "cpuSeconds": round(usage.cpu, 3),
        "maxRssBytes": usage.memory,
        "readBytes": usage.read,
        "writtenBytes": usage.written,
        "peakProcesses": usage.processes,
    }


def _stored(stats: Mapping[str, Any] | None) -> Usage:
    """What earlier runs took; nothing where a handler wrote something else under that name."""
    kept = (stats or {}).get(KEY)
    kept = kept if isinstance(kept, Mapping) else {}
    figures = [kept.get(name, 0) for name in _told(Usage())]
    return Usage(*figures) if all(map(is_figure, figures)) else Usage()


# The meter of the run that the current task works for, as context hands it down to whatever that starts.
_METER: ContextVar[Meter | None] = ContextVar("meter of a run", default=None)


def metered_by(meter: Meter) -> None:
    """From now on what the current task and all that comes of it starts counts for this run."""
    _METER.set(meter)


def meter() -> Meter:
    """The current run's meter; one that nobody reads, outside of a run."""
    return _METER.get() or Meter()
