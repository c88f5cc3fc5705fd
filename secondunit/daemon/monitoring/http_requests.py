"""Instrumentation fact: an answered HTTP request, as the middleware announces it to who watches."""

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
