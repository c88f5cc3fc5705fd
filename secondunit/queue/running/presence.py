"""Presence of a daemon among the boxes of its queue: its name taken, heartbeats, an operator's drain carried out.

Who starts looks whether another lives under its name, and ends if one does; who finds at a heartbeat that its name was
taken ends, too. Otherwise each would free what the other runs, for ever.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from secondunit.queue.clock import Clock
from secondunit.queue.errors import BoxTaken, StoreFull
from secondunit.queue.instrumentation import Fact, Sink, unheard
from secondunit.queue.ports.boxes import BoxRow, Phase
from secondunit.queue.store import Store
from secondunit.queue.value import replace

SILENT = 3  # heartbeats that are missing: then nobody beats
LOOK_EVERY = 0.25  # seconds between two looks whether somebody does


class BoxDrained(Fact, frozen=True):
    """From now on this box starts nothing, or (not `drained`) starts jobs again: an operator wants it so."""

    box: str
    drained: bool


async def enter(store: Store, clock: Clock, box: BoxRow, before: str | None = None) -> BoxRow:
    """Take the name of the box, unless another daemon lives under it: BoxTaken. As the row stands now.

    Whether one lives its heartbeats tell, which are waited for; not those of `before`, a boot that is known to be over,
    so that a start after a crash waits for nothing.
    """
    there = await _named(store, box.name)
    known = there is None or there.boot in (before, box.boot) or there.phase == "ended"
    if there and not known:
        await _silent(store, clock, there)
    return await store.boxes.enter(box)


async def _silent(store: Store, clock: Clock, there: BoxRow) -> None:
    """Return once it has missed enough heartbeats, or BoxTaken."""
    missing = (clock.now() - there.seen_at).total_seconds()
    until = clock.monotonic() + SILENT * there.beat.total_seconds() - missing
    while clock.monotonic() < until:
        await clock.sleep(LOOK_EVERY)
        now = await _named(store, there.name)
        if now is None or now.phase == "ended":
            return
        if (now.boot, now.seen_at) != (there.boot, there.seen_at):
            raise BoxTaken(now.name, now.boot, now.address)


async def _named(store: Store, name: str) -> BoxRow | None:
    return next((row for row in await store.boxes.all() if row.name == name), None)


class Presence:
    """Beats for a box whose name is taken; `hold` has the worker start nothing (True), or go on.

    `every` is the time between two heartbeats.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        box: BoxRow,
        hold: Callable[[bool], None],
        *,
        every: timedelta | None = None,
        emit: Sink = unheard,
    ) -> None:
        self.box = box
        self._store = store
        self._clock = clock
        self._hold = hold
        self._every = every or box.beat
        self._emit = emit
        hold(box.drained)

    async def run(self) -> None:
        """Beat for ever; BoxTaken once another daemon has the name."""
        while True:
            await self._clock.sleep(self._every.total_seconds())
            await self.beat()

    async def beat(self) -> None:
        """Be seen, and do as is wanted of this box."""
        try:
            row = await self._store.boxes.beat(self.box.name, self.box.boot, self._clock.now())
            if row is None:
                row = await self._again()
        except StoreFull:
            return  # nobody can take the name over meanwhile either
        self.told(row)

    def told(self, row: BoxRow) -> None:
        """So the row of this box stands."""
        before, self.box = self.box, row
        if row.drained != before.drained:
            self._hold(row.drained)
            self._emit(BoxDrained(row.name, row.drained))

    async def serves_at(self, address: str) -> None:
        """Its API listens there."""
        if address != self.box.address:
            self.told(await self._store.boxes.enter(replace(self.box, address=address, seen_at=self._clock.now())))

    async def turn(self, phase: Phase) -> None:
        """It does this from now on."""
        with suppress(StoreFull):
            await self._store.boxes.turn(self.box.name, self.box.boot, phase, self._clock.now())
            self.box = replace(self.box, phase=phase)

    async def _again(self) -> BoxRow:
        """The row is not ours: another daemon's, or no longer there, as after a long time without the database."""
        there = await _named(self._store, self.box.name)
        if there is not None:
            raise BoxTaken(there.name, there.boot, there.address)
        return await self._store.boxes.enter(replace(self.box, seen_at=self._clock.now()))
