"""Publish-subscribe hub: a reader gets every lifecycle event in order, or is dropped; progress is coalesced."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from secondunit.queue.instrumentation import JobsMoved, Sink, unheard
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
        self._owner = filter.owner
        self._backlog = backlog
        self._on_drop = on_drop
        self._waiting: OrderedDict[object, Event] = OrderedDict()
        self._progress = 0
        self._dropped = False
        self._wake = asyncio.Event()

    async def next(self) -> Event:
        """The next event; safe to cancel."""
        while not self._waiting:
            if self._dropped:
                raise Dropped
            self._wake.clear()
            await self._wake.wait()
        _, event = self._waiting.popitem(last=False)
        self._progress -= event.name == "progress"
        return event

    def skip_progress(self) -> None:
        """Forget the progress that waits: what the reader learned otherwise is newer."""
        self._waiting = OrderedDict((key, event) for key, event in self._waiting.items() if event.name != "progress")
        self._progress = 0

    def offer(self, events: Sequence[Event]) -> None:
        """Queue for the reader those of the events that it asked for."""
        ids, types, owner = self._ids, self._types, self._owner
        for event in events:
            if (ids and event.job_id not in ids) or (types and event.job_type not in types):
                continue
            if owner is not None and event.owner != owner:
                continue
            if self._dropped:
                return
            self._queue(event)
            self._wake.set()

    def _queue(self, event: Event) -> None:
        if event.name == "progress":
            self._progress += event.job_id not in self._waiting
            self._waiting[event.job_id] = event
            self._waiting.move_to_end(event.job_id)  # it is news of now, not of when the job's last news began to wait
        elif len(self._waiting) - self._progress >= self._backlog:
            self._drop()
        else:
            self._waiting[object()] = event

    def _drop(self) -> None:
        self._dropped = True
        self._waiting.clear()
        if self._on_drop:
            self._on_drop()


class Hub:
    """Passes events on to subscriptions (readers), to taps (parts that act on them), and as a fact to who watches."""

    def __init__(self, emit: Sink = unheard) -> None:
        self._emit = emit
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
        """A reader of the events that match `filter` (its ids, types and owner)."""
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
        """Hand events to everyone who wants them, in their order.

        Reader by reader: event by event, a thousand readers cost a batch of a thousand jobs twice as much.
        """
        for subscription in tuple(self._subscriptions):
            subscription.offer(events)
        for event in events if self._by_job else ():
            for subscription in tuple(self._by_job.get(event.job_id, ())):
                subscription.offer((event,))
        for tap in self._taps:
            tap(events)
        if events:
            self._emit(JobsMoved(events))
