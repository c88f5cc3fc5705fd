"""In-memory registry of boxes, and what each does for all, of the reference store."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from secondunit.queue.errors import DutyLost
from secondunit.queue.model import Job
from secondunit.queue.ports.boxes import BoxRow, Phase
from secondunit.queue.ports.duties import Candidate, Duty
from secondunit.queue.ports.pruning import Prune
from secondunit.queue.value import replace


class MemoryBoxes:
    """Rows by name; `running` are the jobs that run, `ready` those that could."""

    def __init__(self, running: Callable[[], Sequence[Job]], ready: Callable[[], Sequence[Job]]) -> None:
        self._rows: dict[str, BoxRow] = {}
        self._running = running
        self._ready = ready

    async def all(self) -> Sequence[BoxRow]:
        return [self._rows[name] for name in sorted(self._rows)]

    async def enter(self, box: BoxRow) -> BoxRow:
        before = self._rows.get(box.name)
        self._rows[box.name] = replace(box, drained=before.drained) if before else box
        return self._rows[box.name]

    async def beat(self, name: str, boot: str, now: datetime) -> BoxRow | None:
        return self._set(name, boot, seen_at=now)

    async def turn(self, name: str, boot: str, phase: Phase, now: datetime) -> None:
        self._set(name, boot, phase=phase, seen_at=now)

    async def drain(self, name: str, drained: bool) -> BoxRow | None:
        row = self._rows.get(name)
        return self._set(name, row.boot, drained=drained) if row else None

    async def bound(self) -> Mapping[str, int]:
        return self._bound()

    async def held(self) -> Mapping[str, Mapping[str, int]]:
        held: dict[str, Counter[str]] = {}
        for job in self._running():
            if job.lease:
                held.setdefault(job.lease.boot, Counter())[job.type] += 1
        return held

    def forget(self, what: Prune) -> None:
        """Forget those that were not seen for long."""
        self._rows = {
            name: row
            for name, row in self._rows.items()
            if row.seen_at >= (what.failed_before if row.drained else what.before) or name in self._bound()
        }

    def _bound(self) -> Counter[str]:
        return Counter(job.box for job in self._ready() if job.box is not None)

    def _set(self, name: str, boot: str, **changes: object) -> BoxRow | None:
        row = self._rows.get(name)
        if row is None or row.boot != boot:
            return None
        self._rows[name] = replace(row, **changes)  # type: ignore[arg-type]
        return self._rows[name]


class MemoryDuties:
    """Duties by their names."""

    def __init__(self) -> None:
        self._rows: dict[str, Duty] = {}

    async def all(self) -> Sequence[Duty]:
        return [self._rows[name] for name in sorted(self._rows)]

    async def take(self, names: Collection[str], candidate: Candidate) -> Sequence[Duty]:
        for name in names:
            duty = self._rows.get(name, Duty(name, 0, None, candidate.now - candidate.patience))
            if candidate.takes(duty):
                self._rows[name] = candidate.taken(duty)
        return [duty for duty in await self.all() if duty.name in names]

    async def give_back(self, names: Collection[str], boot: str, now: datetime) -> None:
        for name in self._rows.keys() & {*names}:
            if self._rows[name].boot == boot:
                self._rows[name] = replace(self._rows[name], boot=None, until=now)

    def check(self, duty: Duty | None) -> None:
        """DutyLost if somebody else has had it since."""
        if duty is not None and duty.fences(self._rows.get(duty.name)):
            raise DutyLost(duty.name, duty.term)
