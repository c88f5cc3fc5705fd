"""Registry of boxes: a row for each daemon of the queue, its heartbeats, and the port that keeps them.

What a box says of itself, and whether an operator wants it to start nothing more.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

from secondunit.queue.ids import box_of
from secondunit.queue.value import Value

BEAT = timedelta(seconds=2)
LONGEST_SILENCE = timedelta(minutes=1)

Phase = Literal["up", "stopping", "ended"]
State = Literal["up", "draining", "gone"]
STATES: Sequence[State] = ("up", "draining", "gone")


class BoxRow(Value, frozen=True):
    """A box: its boot, where its API listens, how many jobs of each type it runs at once, and `most` in all.

    `lease` is how long its leases last, `seen_at` its last heartbeat. `phase` is what it said of itself, `drained` what
    an operator wants: that stands until it is taken back, over restarts too. `remote` are the types that it declares
    for workers to lease, `rules` its settings that hold for what all boxes share, each with a digest of what it says.
    """

    name: str
    boot: str
    address: str
    version: str
    limits: Mapping[str, int]
    most: int
    lease: timedelta
    seen_at: datetime
    phase: Phase = "up"
    drained: bool = False
    remote: Mapping[str, str] = {}
    rules: Mapping[str, str] = {}

    @property
    def beat(self) -> timedelta:
        """The time between two of its heartbeats."""
        return min(BEAT, self.lease / 3)

    def state(self, now: datetime) -> State:
        """How it is. One that was not seen for a lease (a minute at most) is gone: it renews none of its leases."""
        if self.phase == "ended" or now - self.seen_at > min(self.lease, LONGEST_SILENCE):
            return "gone"
        return "draining" if self.drained or self.phase == "stopping" else "up"

    def has(self, boot: str) -> bool:
        """Whether a lease with this boot is one of this box."""
        return boot == self.boot or box_of(boot) == f"{self.name}/"


class Boxes(Protocol):
    """The boxes by name. `Store.prune` forgets those that were not seen for long; drained ones as late as failed jobs.

    A store on a server goes by that server's clock, whatever `now` it is given.
    """

    async def all(self) -> Sequence[BoxRow]:
        """All of them, by name."""
        ...

    async def enter(self, box: BoxRow) -> BoxRow:
        """Put the row in the place of what stands under its name, whose drain stays; as it stands now, just seen."""
        ...

    async def beat(self, name: str, boot: str, now: datetime) -> BoxRow | None:
        """It is seen now; None if the name is no longer this boot's, and then nothing is changed."""
        ...

    async def turn(self, name: str, boot: str, phase: Phase, now: datetime) -> None:
        """It says what it does from now on; nothing is changed if the name is no longer this boot's."""
        ...

    async def drain(self, name: str, drained: bool) -> BoxRow | None:
        """What an operator wants of it; None: there is no such box."""
        ...

    async def bound(self) -> Mapping[str, int]:
        """How many jobs wait for nothing but a box, for each that is so; it is not forgotten before that is over."""
        ...

    async def held(self) -> Mapping[str, Mapping[str, int]]:
        """How many running jobs of which type each boot has leased, remote workers' too."""
        ...
