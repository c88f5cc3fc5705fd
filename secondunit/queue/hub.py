"""In-process fan-out of events: a reader gets every lifecycle event in order, or is dropped; progress is coalesced."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from secondunit.queue.model import Event, Filter, JobId

Tap = Callable[[Sequence[Event]], None]
BACKLOG = 1000


class Dropped(Exception):
    """This reader did not keep up; it may come back with the last `seq` it saw."""


class Subscription:
    """One reader's share of the events, from `Hub.subscribe`.

    At most `backlog` events wait for it, and one progress event for each job; past that it is dropped, `on_drop` is
    called and `next` raises Dropped.
    """

    def __init__(self, filter: Filter, backlog: int, on_drop: Callable[[], None] | None) -> None:
        self._ids = frozenset(filter.ids)
        self._types = frozenset(filter.types)
        self._backlog = backlog
        self._on_drop = on_drop
        self._waiting: deque[Event | JobId] = deque()
        self._latest: dict[JobId, Event] = {}
        self._kept = 0
        self._dropped = False
        self._wake = asyncio.Event()

    async def next(self) -> Event:
        """The next event; safe to cancel."""
        while not self._waiting:
            if self._dropped:
                raise Dropped
            self._wake.clear()
            await self._wake.wait()
        entry = self._waiting.popleft()
        if isinstance(entry, str):
            return self._latest.pop(entry)
        self._kept -= 1
        return entry

    def wants(self, event: Event) -> bool:
        """Whether the reader asked for this event."""
        return (not self._ids or event.job_id in self._ids) and (not self._types or event.job_type in self._types)

    def offer(self, event: Event) -> None:
        """Queue the event for the reader."""
        if self._dropped:
            return
        if event.name == "progress":
            if event.job_id not in self._latest:
                self._waiting.append(event.job_id)
            self._latest[event.job_id] = event
        elif self._kept >= self._backlog:
            self._drop()
        else:
            self._kept += 1
            self._waiting.append(event)
        self._wake.set()

    def _drop(self) -> None:
        self._dropped = True
        self._waiting.clear()
        self._latest.clear()
        if self._on_drop:
            self._on_drop()


class Hub:
    """Passes events on to taps (parts of the daemon) and subscriptions (readers)."""

    def __init__(self) -> None:
        self._taps: list[Tap] = []
        self._subscriptions: set[Subscription] = set()
        self._by_job: dict[JobId, set[Subscription]] = {}

    def tap(self, tap: Tap) -> None:
        """Call `tap` with all events from now on; it must return at once."""
        self._taps.append(tap)

    @contextmanager
    def subscribe(
        self, filter: Filter, *, backlog: int = BACKLOG, on_drop: Callable[[], None] | None = None
    ) -> Iterator[Subscription]:
        """A reader of the events that match `filter` (its ids and types)."""
        subscription = Subscription(filter, backlog, on_drop)
        groups = [self._by_job.setdefault(id, set()) for id in filter.ids] or [self._subscriptions]
        for group in groups:
            group.add(subscription)
        try:
            yield subscription
        finally:
            for group in groups:
                group.discard(subscription)
            for id in filter.ids:
                if not self._by_job.get(id, True):
                    del self._by_job[id]

    def publish(self, events: Sequence[Event]) -> None:
        """Hand events to everyone who wants them, in their order."""
        for event in events:
            for subscription in (*self._subscriptions, *self._by_job.get(event.job_id, ())):
                if subscription.wants(event):
                    subscription.offer(event)
        for tap in self._taps:
            tap(events)
