"""Boxes of the queue: gathers how each is, and has an operator's word obeyed that one starts nothing more."""

import asyncio
from collections.abc import Mapping, Sequence

from secondunit.daemon.automation.poller import DUTY as POLLER
from secondunit.queue.clock import Clock
from secondunit.queue.errors import BoxNotFound
from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.running.presence import Presence
from secondunit.queue.sight.boxes import SeenBox, seen
from secondunit.queue.store import Store
from secondunit.queue.value import replace


class KnownBoxes:
    """Lists the boxes, this one among them. `shared`: other daemons have the queue, and judge us by our heartbeats."""

    def __init__(self, store: Store, presence: Presence, clock: Clock, *, shared: bool) -> None:
        self._store = store
        self._presence = presence
        self._clock = clock
        self._shared = shared

    async def __call__(self) -> Sequence[SeenBox]:
        """All of them, by name."""
        boxes, now = self._store.boxes, self._clock.now()
        rows, held, limits, duties, bound = await asyncio.gather(
            boxes.all(), boxes.held(), self._store.limits(), self._store.duties.all(), self._bound()
        )
        if not self._shared:  # it is the one that answers
            rows = [replace(row, seen_at=now) if self._own(row) else row for row in rows]
        found = [seen(row, now, held, limits) for row in rows]
        polling = [duty.boot for duty in duties if duty.name == POLLER and duty.until >= now]
        return [
            replace(box, poller=box.state != "gone" and box.row.boot in polling, waiting=bound.get(box.name, 0))
            for box in found
        ]

    async def _bound(self) -> Mapping[str, int]:
        """How many jobs wait for each; none where there is one box, which any name is good for."""
        return await self._store.boxes.bound() if self._shared else {}

    async def drain(self, name: str) -> SeenBox:
        """Have a box start nothing more, until it is resumed; BoxNotFound."""
        return await self._want(name, drained=True)

    async def resume(self, name: str) -> SeenBox:
        """Have it start jobs again; BoxNotFound."""
        return await self._want(name, drained=False)

    async def _want(self, name: str, *, drained: bool) -> SeenBox:
        row = await self._store.boxes.drain(name, drained)
        if row is None:
            raise BoxNotFound(name)
        if self._own(row):
            self._presence.told(row)
        return next(box for box in await self() if box.name == name)

    def _own(self, row: BoxRow) -> bool:
        return row.boot == self._presence.box.boot
