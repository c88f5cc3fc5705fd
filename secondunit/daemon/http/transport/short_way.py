"""The short way of the hot calls, and the one seam to aiohttp's insides.

It leaves out aiohttp's router, middleware and the making of a head that hardly changes. It is taken with the version of
aiohttp that it was tried with only: with any other, every call goes the long way, to the same boundary and answer.
"""

from collections.abc import Awaitable, Callable, Mapping

import aiohttp
import structlog
from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time

from secondunit.daemon.http.transport.connections import FAULT
from secondunit.daemon.http.transport.problems import MALFORMED, problem
from secondunit.daemon.http.transport.replies import SAFE_LINES, SafeRequest, reply_encoded

TRIED_WITH = "3.14.5"
REASONS = {200: "OK", 201: "Created"}

Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]
HOT_CALLS = web.AppKey("hot calls", Mapping[str, Endpoint])
SHORT = web.RequestKey("came the short way", bool)

log = structlog.get_logger(__name__)


def express(runner: web.AppRunner, version: str = aiohttp.__version__) -> None:
    """Refuse what is no request; let the hot calls (POSTs, by path) of a set-up application go the short way."""
    if runner.server is None:
        raise RuntimeError("the runner is not set up")
    hot, long_way = runner.app[HOT_CALLS], runner.server.request_handler
    tried = version == TRIED_WITH
    if not tried:
        log.info("http.long_way", message=f"aiohttp is {version}, not {TRIED_WITH}: submits take a little longer")

    def handle(request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        if FAULT in request:
            return _refused(request[FAULT])
        straight = hot.get(request.raw_path) if tried and request.method == "POST" else None
        if straight is None or not isinstance(request, SafeRequest):
            return long_way(request)
        request[SHORT] = True
        return straight(request)

    runner.server.request_handler = handle


async def _refused(fault: str) -> web.StreamResponse:
    response = problem(MALFORMED, f"this is no request: {fault}")
    response.force_close()
    return response


def written(request: web.Request, status: int, content: bytes, location: str) -> web.StreamResponse:
    """A short JSON answer with a `Location`, in one piece; one that is not like all others is left to aiohttp."""
    if SHORT not in request or request.version != HttpVersion11 or not request.keep_alive:
        return reply_encoded(content, status, {"Location": location})
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\nLocation: {location}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nDate: {rfc822_formatted_time()}\r\n"
        f"{SAFE_LINES}\r\n"
    )
    return _Written(status, head.encode("ascii") + content)


class _Written(web.StreamResponse):
    """A response that is bytes already, on a connection that stays open."""

    def __init__(self, status: int, whole: bytes) -> None:
        super().__init__(status=status)
        self._whole = whole

    @property
    def keep_alive(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        await request.writer.write(self._whole)
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to be written."""
