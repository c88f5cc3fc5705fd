"""Instrumentation fact: an answered HTTP request, as the middleware announces it to who watches."""

from typing import Literal

from secondunit.queue.instrumentation import Fact


class RequestMalformed(Fact, frozen=True):
    """What came over a connection was no request; `kind` is the word for what was wrong."""

    kind: str


class RequestAnswered(Fact, frozen=True):
    """One answered request; `route` is the path's template, so that ids make no series of their own."""

    method: str
    route: str
    status: int
    seconds: float


Shed = Literal["head", "body", "idle", "reader", "room", "total", "address", "key", "stream"]


class ConnectionShed(Fact, frozen=True):
    """A connection was cut for being too slow (the first four) or to make room; or it, or a stream, was not let in."""

    why: Shed


class ConnectionsOpen(Fact, frozen=True):
    """So many connections of a listener are open."""

    listener: str
    number: int
