"""Event follower: replays the stored events that a reader missed, then the live ones; and a cursor over many jobs."""

import math
from collections.abc import AsyncIterator, Sequence

from secondunit.queue.hub import Subscription
from secondunit.queue.model import Event, Filter, Job
from secondunit.queue.store import PAGE, Store
from secondunit.queue.value import replace

REPLAY_PAGE = 500


class Follow:
    """Events from the table, then live ones, without gap or repeat; from `Queue.follow`."""

    def __init__(self, store: Store, live: Subscription, filter: Filter, after: int, missed: bool) -> None:
        self.missed = missed
        self.after = after
        self._store = store
        self._live = live
        self._filter = filter
        self._replay: list[Event] = []
        self._replaying = True

    async def next(self) -> Event:
        """The next event; safe to cancel. Raises hub.Dropped when the reader did not keep up."""
        while self._replaying or self._replay:
            if self._replay:
                event = self._replay.pop(0)
                self.after = event.seq
                return event
            page = await self._store.events(self.after, self._filter, REPLAY_PAGE)
            self._replay = list(page)
            self._replaying = len(page) == REPLAY_PAGE
            if not self._replaying:
                self._live.skip_progress()  # it may be older than the page
        while True:
            event = await self._live.next()
            if event.seq == 0:
                return event
            if event.seq > self.after:
                self.after = event.seq
                return event


async def each(store: Store, filter: Filter, most: int | None = None) -> AsyncIterator[Job]:
    """Every job that matches, newest first, a page at a time; or the first of them."""
    cursor: int | None = None
    left = math.inf if most is None else most
    while left > 0:
        page = await store.find(filter, cursor, int(min(PAGE, left)), counted=False)
        for job in page.jobs:
            yield job
        left -= len(page.jobs)
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


async def first(store: Store, filter: Filter, most: int) -> Sequence[Job]:
    """The first jobs that match, `slim`: a page of them may hold fewer."""
    return [slim(job) async for job in each(store, filter, most)]


def slim(job: Job) -> Job:
    """The job without what may be large, for who keeps many of them."""
    return replace(job, payload={}, result=None, missing=None, runs=job.runs[-1:])
