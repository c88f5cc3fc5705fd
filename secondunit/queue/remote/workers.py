"""Worker roster: which remote workers were heard of, for which types, and when last; in memory, and bounded."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from secondunit.queue.ports.holders import RemoteHolder
from secondunit.queue.value import Value, replace

MOST, KEPT = 1000, timedelta(hours=24)


class SeenWorker(Value, frozen=True):
    """A worker as it was last heard of; `waiting`: a call of its waits for a job just now."""

    holder: RemoteHolder
    types: frozenset[str]
    seen_at: datetime
    waiting: bool = False


def latest(one: SeenWorker, other: SeenWorker) -> SeenWorker:
    """One worker that was seen at two places."""
    newer = max(one, other, key=lambda seen: seen.seen_at)
    return replace(newer, types=one.types | other.types, waiting=one.waiting or other.waiting)


class Roster:
    """The workers that were heard of in the last 24 hours, at most the 1,000 latest."""

    def __init__(self) -> None:
        self._seen: dict[RemoteHolder, SeenWorker] = {}
        self._waiting: dict[RemoteHolder, int] = {}

    def asks(self, holder: RemoteHolder, types: Collection[str], now: datetime) -> None:
        """It asks for jobs of these types, and waits for them until `leaves`."""
        self._waiting[holder] = self._waiting.get(holder, 0) + 1
        self._note(SeenWorker(holder, frozenset(types), now))

    def leaves(self, holder: RemoteHolder, now: datetime) -> None:
        """One of its calls waits no longer."""
        left = self._waiting.get(holder, 1) - 1
        if left:
            self._waiting[holder] = left
        else:
            self._waiting.pop(holder, None)
        self.hears(holder, "", now)

    def hears(self, holder: RemoteHolder, type: str, now: datetime) -> None:
        """It said something of a job of this type."""
        known = self._seen.get(holder)
        types = (known.types if known else frozenset()) | ({type} if type else set())
        self._note(SeenWorker(holder, frozenset(types), now))

    def of(self, type: str, now: datetime) -> Sequence[SeenWorker]:
        """Those that take jobs of this type, the latest first."""
        found = [
            replace(one, waiting=one.holder in self._waiting)
            for one in self._seen.values()
            if type in one.types and now - one.seen_at <= KEPT
        ]
        return sorted(found, key=lambda one: (one.waiting, one.seen_at), reverse=True)

    def newest(self, most: int, now: datetime) -> Sequence[SeenWorker]:
        """So many at most, those of all types, the latest last."""
        kept = [one for one in self._seen.values() if now - one.seen_at <= KEPT][-most:]
        return [replace(one, waiting=one.holder in self._waiting) for one in kept]

    def _note(self, worker: SeenWorker) -> None:
        self._seen.pop(worker.holder, None)  # the latest stand last
        self._seen[worker.holder] = worker
        while len(self._seen) > MOST:
            del self._seen[next(iter(self._seen))]
