"""Partial results of live jobs, kept in memory for readers of their streams who come late or come back; a hub's tap."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from secondunit.queue.model import Event, JobId

JOBS_KEPT = 256
LONGEST = 256 * 1024  # characters of what is kept for one job
ItemsOf = Callable[[Any], Sequence[Any] | None]


@dataclass(slots=True)
class PublishedItems:
    """What a job published since it was last queued by somebody, each item once; no other list has this `name`."""

    name: str
    items: list[Any] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    length: int = 0
    over: bool = False

    def add(self, item: Any) -> None:
        """Keep the item, unless it is there already or there is no room for it."""
        text = repr(item)
        if text not in self.known and self.length + len(text) <= LONGEST:
            self.known.add(text)
            self.items.append(item)
            self.length += len(text)


class PartialData:
    """What the most recent jobs published, as far as it is a list by `items_of`; `boot` names this life of the daemon.

    A job that waits and runs again goes on with its list; one that ended and is retried begins a new one.
    """

    def __init__(self, boot: str, items_of: ItemsOf) -> None:
        self._boot = boot
        self._items_of = items_of
        self._kept: OrderedDict[JobId, PublishedItems] = OrderedDict()
        self._lists = 0

    def hear(self, events: Sequence[Event]) -> None:
        """A tap of the hub."""
        for event in events:
            kept = self._kept.get(event.job_id)
            if kept and event.status.ended:
                kept.over = True
            elif kept and kept.over:
                del self._kept[event.job_id]
            if event.name == "data" and (items := self._items_of(event.data)):
                self._add(event.job_id, items)

    def of(self, job_id: JobId) -> PublishedItems | None:
        """What this job published, if it did."""
        return self._kept.get(job_id)

    def holds(self, event: Event) -> bool:
        """Whether all that this event brings is kept."""
        kept, items = self._kept.get(event.job_id), self._items_of(event.data)
        return items is not None and kept is not None and all(repr(item) in kept.known for item in items)

    def _add(self, job_id: JobId, items: Sequence[Any]) -> None:
        if job_id not in self._kept:
            self._lists += 1
            self._kept[job_id] = PublishedItems(f"{self._boot}-{self._lists}")
            if len(self._kept) > JOBS_KEPT:
                self._kept.popitem(last=False)
        for item in items:
            self._kept[job_id].add(item)
