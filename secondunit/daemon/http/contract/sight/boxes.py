"""Answers about the boxes of the queue, and what fills them."""

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from secondunit.daemon.formats import instant
from secondunit.daemon.http.contract.responses import Answer, Time
from secondunit.queue.ports.boxes import State
from secondunit.queue.sight.boxes import SeenBox

Jobs = Annotated[int, Meta(ge=0)]


class QueueBox(Answer):
    """A daemon that shares the queue, by the name of its box.

    `address` is where its API listens, as far as its own machine knows. `running` counts the jobs under its leases and
    `capacity` how many it runs at once at most; both also by type. `state` is `draining` while it starts nothing new,
    and `gone` once it has ended, or was not seen for its LEASE_SECONDS (a minute at most). `poller` is true of the one
    that asks the backend for work.
    """

    name: str
    boot: str
    address: str
    version: str
    types: list[str]
    running: Jobs
    running_by_type: dict[str, Jobs]
    capacity: Jobs
    capacity_by_type: dict[str, Jobs]
    last_seen_at: Time
    state: State
    poller: bool


class QueueBoxes(Answer):
    """The boxes of the queue, by name. One that is gone for RETENTION_HOURS is forgotten."""

    boxes: list[QueueBox]


def boxes(seen: Iterable[SeenBox]) -> QueueBoxes:
    """All of them."""
    return QueueBoxes([box(one) for one in seen])


def box(seen: SeenBox) -> QueueBox:
    """How a box is."""
    row = seen.row
    return QueueBox(
        name=row.name,
        boot=row.boot,
        address=row.address,
        version=row.version,
        types=sorted(seen.limits),
        running=sum(seen.running.values()),
        running_by_type=dict(seen.running),
        capacity=seen.capacity,
        capacity_by_type=dict(seen.limits),
        last_seen_at=instant(row.seen_at),
        state=seen.state,
        poller=seen.poller,
    )
