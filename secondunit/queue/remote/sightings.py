"""Workers seen by any daemon of the queue: each leaves what its roster has in the store's cache, for the others."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from secondunit.queue.clock import Clock
from secondunit.queue.errors import StoreFull
from secondunit.queue.ids import box_of
from secondunit.queue.ports.cache import CacheEntry
from secondunit.queue.ports.holders import RemoteHolder
from secondunit.queue.remote.workers import KEPT, Roster, SeenWorker, latest
from secondunit.queue.store import Store

LOOK_EVERY, TELL_EVERY = 2.0, timedelta(seconds=10)
STALE = timedelta(seconds=30)  # who was told to wait by a daemon that has told nothing since may be gone with it
MOST_TOLD = 200


class Sightings:
    """Who was seen, here and by other daemons; `boot` is this one's."""

    def __init__(self, roster: Roster, store: Store, clock: Clock, boot: str) -> None:
        self._roster = roster
        self._store = store
        self._clock = clock
        self._box = box_of(boot)

    @property
    def shared(self) -> bool:
        """Whether there may be other daemons."""
        return bool(self._box)

    async def of(self, type: str) -> Sequence[SeenWorker]:
        """Those that take jobs of this type, the latest first."""
        now = self._clock.now()
        found = {one.holder: one for one in self._roster.of(type, now)}
        others = [box.name for box in await self._store.boxes.all() if f"{box.name}/" != self._box] if self._box else []
        for name in others:
            entry = await self._store.cache.get(_key(f"{name}/"), now)
            for one in _workers(entry, now) if entry else ():
                if type in one.types:
                    found[one.holder] = latest(found.get(one.holder, one), one)
        return sorted(found.values(), key=lambda one: (one.waiting, one.seen_at), reverse=True)

    async def run(self) -> None:
        """Leave for the others what is seen here, soon after it changed: for ever."""
        before: Sequence[tuple[object, ...]] = []
        told_at: datetime | None = None
        while True:
            await self._clock.tick(LOOK_EVERY)
            now, seen = self._clock.now(), self._roster.newest(MOST_TOLD, self._clock.now())
            said = [(one.holder, one.types, one.waiting) for one in seen]
            due = told_at is None or now - told_at >= TELL_EVERY
            if said == before and not (due and any(one.waiting for one in seen)):
                continue
            entry = CacheEntry(_key(self._box), [_told(one) for one in seen], "", now, now + KEPT)
            try:
                await self._store.cache.put(entry)
            except StoreFull:
                continue
            before, told_at = said, now


def _key(box: str) -> str:
    return f"remote workers of {box}"


def _told(one: SeenWorker) -> Sequence[object]:
    return [one.holder.key, one.holder.worker, sorted(one.types), one.seen_at.isoformat(), one.waiting]


def _workers(entry: CacheEntry, now: datetime) -> Iterator[SeenWorker]:
    fresh = now - entry.made_at <= STALE
    for key, worker, types, at, waiting in entry.value:
        seen = SeenWorker(RemoteHolder(key, worker), frozenset(types), datetime.fromisoformat(at), waiting and fresh)
        if now - seen.seen_at <= KEPT:
            yield seen
