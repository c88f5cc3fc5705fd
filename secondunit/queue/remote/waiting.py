"""Waiting room of remote workers: long polls in the order in which they came, so many of one key at most."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from secondunit.queue.errors import TooManyWaiting
from secondunit.queue.model import Job
from secondunit.queue.ports.holders import RemoteHolder

MOST_OF_KEY = 1000


@dataclass(eq=False, slots=True)
class Waiter:
    """A call that waits for `most` jobs of `types` `until` then, by the monotonic clock; its answer is `given`.

    `tried`: what the store had was offered to it since anything new came. `last`: it is to be answered at the next
    round, whatever there is. `gone`: nobody reads the answer.
    """

    holder: RemoteHolder
    types: frozenset[str]
    most: int
    given: asyncio.Future[Sequence[Job]]
    until: float
    tried: bool = False
    last: bool = False
    gone: bool = False

    @property
    def unwanted(self) -> bool:
        """Whether what is claimed for it goes back."""
        return self.gone or not self.most


@dataclass(slots=True)
class WaitingRoom:
    """Who waits."""

    most_of_key: int = MOST_OF_KEY
    _waiters: dict[Waiter, None] = field(default_factory=dict)
    _of_key: Counter[str] = field(default_factory=Counter)

    def enter(self, waiter: Waiter) -> None:
        """One more; TooManyWaiting if its key has too many here."""
        key = waiter.holder.key
        if self._of_key[key] >= self.most_of_key:
            raise TooManyWaiting(f"{self._of_key[key]} calls of this key wait for jobs; use fewer workers a key")
        self._of_key[key] += 1
        self._waiters[waiter] = None

    def leave(self, waiter: Waiter) -> None:
        """It waits no longer."""
        if self._waiters.pop(waiter, waiter) is None:
            self._of_key[waiter.holder.key] -= 1
            self._of_key += Counter()  # which drops the keys that have none

    def news(self, types: Collection[str] | None) -> bool:
        """Something new came of these types (None: of any); whether anybody waits for it."""
        concerned = [one for one in self._waiters if types is None or not one.types.isdisjoint(types)]
        for waiter in concerned:
            waiter.tried = False
        return bool(concerned)

    @property
    def until(self) -> float:
        """When the next one's time is up."""
        return min((one.until for one in self._waiters if not one.last), default=float("inf"))

    def time_out(self, now: float) -> None:
        """Have those answered whose time is up."""
        for one in self._waiters:
            one.last = one.last or one.until <= now

    def of_key(self, key: str) -> Sequence[Waiter]:
        """Those that came with this key."""
        return [waiter for waiter in self._waiters if waiter.holder.key == key]

    def __iter__(self) -> Iterator[Waiter]:
        """In their order, as they stand now."""
        return iter(tuple(self._waiters))

    def __len__(self) -> int:
        return len(self._waiters)
