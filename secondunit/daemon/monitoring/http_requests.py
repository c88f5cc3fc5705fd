"""Instrumentation fact: an answered HTTP request, as the middleware announces it to who watches."""

from collections.abc import Sequence
from typing import Literal

from secondunit.queue.instrumentation import Fact
from secondunit.queue.model import Job


class RequestMalformed(Fact, frozen=True):
    """What came over a connection was no request; `kind` is the word for what was wrong."""

    kind: str


class RequestBroke(Fact, frozen=True):
    """A request was answered by 500, for this error that nobody foresaw; `route` is empty where there is none."""

    method: str
    route: str
    error: Exception


class RequestAnswered(Fact, frozen=True):
    """One answered request and the `jobs` it made; `route` is the path's template, so that ids make no series."""

    method: str
    route: str
    status: int
    seconds: float
    jobs: Sequence[Job] = ()


Shed = Literal["head", "body", "idle", "reader", "room", "total", "address", "key", "stream"]


class ConnectionShed(Fact, frozen=True):
    """A connection was cut for being too slow (the first four) or to make room; or it, or a stream, was not let in."""

    why: Shed


class ConnectionsOpen(Fact, frozen=True):
    """So many connections of a listener are open."""

    listener: str
    number: int
