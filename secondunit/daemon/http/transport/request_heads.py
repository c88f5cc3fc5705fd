"""Request heads: what two readers could take in two ways is refused before anybody acts on it."""

from aiohttp import web

from secondunit.daemon.http.transport.connections import EXPECTATION
from secondunit.daemon.http.transport.problems import TwoHeaders, UnknownExpectation

# aiohttp sees to those of HTTP itself: Host, Content-Type, Content-Length, Transfer-Encoding.
ONCE = ("Idempotency-Key", "Authorization", "X-API-Key", "Origin", "Last-Event-ID", "Range", "If-Range")


def check_head(request: web.Request) -> None:
    """Raise for a header that has two values and can have one, and for an expectation that is not known."""
    headers = request.headers
    for name in ONCE:
        if name in headers and len(set(headers.getall(name))) > 1:
            raise TwoHeaders(f"{name} stands in the request with two values; send one")
    if request.get(EXPECTATION, "100-continue") != "100-continue":
        raise UnknownExpectation("the only expectation that is met is 100-continue")
