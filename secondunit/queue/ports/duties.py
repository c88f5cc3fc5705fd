"""Leader election by leases: what one daemon of a queue does for all of them, one at a time, with a fencing term each.

A duty is a name (the poller, the schedules) that one boot holds until a time, and renews. Who has it next has it under
a higher term, so that a holder who was frozen finds out when it wants to write: DutyLost.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from secondunit.queue.ids import box_of
from secondunit.queue.value import Value, replace

AT_ONCE = timedelta(0)


class Duty(Value, frozen=True):
    """A duty under its `term`: held by a boot until a time, or by nobody since that time."""

    name: str
    term: int
    boot: str | None
    until: datetime

    def fences(self, stands: "Duty | None") -> bool:
        """Whether a write under this one is stale, while that one stands."""
        return stands is None or (stands.term, stands.boot) != (self.term, self.boot)


class Candidate(Value, frozen=True):
    """A boot that wants duties, for `ttl` from `now` on; only such as were nobody's for `patience`.

    An `heir` has what an earlier boot of its box holds at once: that one is dead.
    """

    boot: str
    ttl: timedelta
    now: datetime
    patience: timedelta = AT_ONCE
    heir: bool = False

    def takes(self, duty: Duty) -> bool:
        """Whether it has this duty from now on: its own, of a dead boot of its box, or nobody's for long enough."""
        if duty.boot == self.boot:
            return True
        if duty.boot is None:
            return not self.patience or duty.until <= self.now - self.patience
        return duty.until < self.now - self.patience or (self.heir and box_of(duty.boot) == box_of(self.boot))

    def taken(self, duty: Duty) -> Duty:
        """That duty once it is this boot's: under its old term where it was that before, whoever was late to renew."""
        term = duty.term if duty.boot == self.boot else duty.term + 1
        return replace(duty, term=term, boot=self.boot, until=self.now + self.ttl)


class Tenure(Value, frozen=True):
    """A holder's time with a duty: `lasts` says at any moment whether it surely still has it.

    That is to be asked before something is done outside, where nothing is fenced. No `duty`: nobody else could have it.
    """

    duty: Duty | None = None
    lasts: Callable[[], bool] = lambda: True


ALONE = Tenure()


class Duties(Protocol):
    """The duties by name. A lease that ran out still holds until somebody else takes the duty."""

    async def all(self) -> Sequence[Duty]:
        """Each that ever was somebody's, by name."""
        ...

    async def take(self, names: Collection[str], candidate: Candidate) -> Sequence[Duty]:
        """Take and renew those of the names that the candidate may have; how each stands now. The first term is 1."""
        ...

    async def give_back(self, names: Collection[str], boot: str, now: datetime) -> None:
        """They are nobody's from now on, those that this boot holds."""
        ...
