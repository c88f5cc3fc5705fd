"""HTTP connections: what is no request at all is answered as a problem and counted; a refused body is not waited for.

aiohttp's own answers repeat what was sent, and its log adds a traceback to each.
"""

import asyncio
import socket
from functools import partial
from typing import Any, cast

import structlog
from aiohttp import HttpVersion10, HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import (
    BadHttpMethod,
    BadStatusLine,
    ContentLengthError,
    HttpProcessingError,
    InvalidHeader,
    InvalidURLError,
    LineTooLong,
    TransferEncodingError,
)
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from multidict import CIMultiDict, CIMultiDictProxy

from secondunit.daemon.access.socket_peers import peer_of, refusal_of
from secondunit.daemon.access.tcp_peers import ends_of, owner_of
from secondunit.daemon.http.transport.bounded_log import BoundedLog
from secondunit.daemon.http.transport.problems import MALFORMED, NO_ROOM, TOO_SLOW, UNEXPECTED, as_sent, problem
from secondunit.daemon.http.transport.reaper import Look, Phase, Reaper
from secondunit.daemon.http.transport.replies import SafeRequest
from secondunit.daemon.http.transport.request_heads import EXPECTATION, form_fault
from secondunit.daemon.monitoring.http_requests import RequestMalformed
from secondunit.queue.clock import Clock
from secondunit.queue.instrumentation import Sink, unheard

READ_OF_A_REFUSED_BODY = 256 * 1024
FAULT = web.RequestKey("fault", str)
TURNED_AWAY = as_sent(NO_ROOM, "this daemon, or your address, has as many connections as it may have; come back soon")
LATE = as_sent(TOO_SLOW, "the request did not come on for too long")

log = structlog.get_logger(__name__)

# Never the parser's own words, which repeat what was sent.
FAULTS: tuple[tuple[type[Exception], str, str], ...] = (
    (LineTooLong, "too_long", "a line of its head is too long"),
    (BadHttpMethod, "method", "it begins with no method of HTTP (TLS, perhaps)"),
    (BadStatusLine, "request_line", "its first line is none of HTTP/1.1"),
    (InvalidURLError, "target", "its target is no path and no address"),
    (InvalidHeader, "header", "a header holds what no header may"),
    (TransferEncodingError, "framing", "its body is not framed as its head says"),
    (ContentLengthError, "framing", "its body is not framed as its head says"),
)
OTHERWISE = "head", "its head is none of HTTP/1.1, or its body is not framed as the head says"


class MalformedRequests:
    """Tells of requests that are none: each as a fact, and by a line of a log that is bounded."""

    def __init__(self, clock: Clock, emit: Sink = unheard) -> None:
        self._emit = emit
        self._log = BoundedLog("http.malformed", "refused a request", clock)

    def tell(self, kind: str, why: str) -> None:
        """One more."""
        self._emit(RequestMalformed(kind))
        self._log.tell(why)


class Connection(web.RequestHandler):
    """One connection, which the reaper of its listener holds or has turned away."""

    __slots__ = ("_head_of", "_line", "_malformed", "_owner", "_reaper", "_received", "_refusal", "_room", "key")

    def __init__(self, manager: web.Server, malformed: MalformedRequests, reaper: Reaper, **options: Any) -> None:
        super().__init__(manager, **options)
        self.key = ""
        self._malformed = malformed
        self._reaper = reaper
        self._room: int | None = None
        self._owner: tuple[int | None] | None = None
        self._refusal: asyncio.Future[str | None] | None = None
        self._received = 0
        self._head_of = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Serve it, or say that there is no room; what it sends is not parsed then."""
        self._line = cast(asyncio.Transport, transport)  # aiohttp forgets its own before the last byte has gone
        if self._reaper.admit(self, _peer(self._line)):
            line = self._line.get_extra_info("socket")
            if line is not None and line.family == socket.AF_UNIX:
                # now, while the peer is likely to be there
                self._refusal = asyncio.ensure_future(asyncio.to_thread(refusal_of, peer_of(line)))
            super().connection_made(transport)
            return
        self._force_close = True
        if self._reaper.turn_away(self):
            self._line.write(TURNED_AWAY)
            self._line.write_eof()
        else:
            self._line.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is no more."""
        self._reaper.left(self)
        super().connection_lost(exc)

    async def refusal(self) -> str | None:
        """Why the peer may not use a socket that is this account's alone; None if it may."""
        return await self._refusal if self._refusal else None

    async def owner(self) -> int | None:
        """The account of the program at the other end, as the kernel says it; asked once. None: it can't tell."""
        if self._owner is None:
            line = self._line.get_extra_info("socket")
            ends = None if line is None else ends_of(line)
            self._owner = (None if ends is None else await owner_of(ends),)
        return self._owner[0]

    def belongs_to(self, key: str) -> bool:
        """Count it as this key's; whether that one may have another."""
        if self.key != key and not self._reaper.claim(self, key):
            self.close()
            return False
        self.key = key
        return True

    def look(self) -> Look:
        """What it waits for: a glance at what aiohttp keeps anyway."""
        if unsent := self._line.get_write_buffer_size():
            return Look(Phase.READER, unsent)
        request = self._current_request
        if request is not None:
            ours = request.content.is_eof() or EXPECTATION in request or self._reading_paused or self._buffer_paused
            return Look(Phase.WORKING) if ours else Look(Phase.BODY, self._received)
        if self._waiter is None or self._messages:
            return Look(Phase.WORKING)
        number = self._request_count
        return Look(Phase.HEAD if number in (0, self._head_of) else Phase.IDLE, number)

    def cut(self, phase: Phase) -> None:
        """End it; a client that was about to ask is told why."""
        request = self._current_request
        if phase is Phase.READER or (request is not None and request.writer.output_size > 0):
            self.drop()
            return
        if phase in (Phase.HEAD, Phase.BODY) and self._received:
            self._line.write(LATE)
        self.force_close()

    def drop(self) -> None:
        """End it, with what was not yet taken."""
        self.force_close()
        self._line.abort()

    def take_no_more(self) -> None:
        """The request is answered, its body unread: hear out a client that is about done, and no other."""
        self._room = READ_OF_A_REFUSED_BODY

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._room is not None:
            self._room -= len(data)
            if self._room < 0:
                # Were it closed over unread bytes, a reset would overtake the answer; lingering ends it.
                self._line.pause_reading()
                return
        self._received += 1
        waiting = self._current_request
        super().data_received(data)
        if waiting is None:
            if self._waiter is not None and not self._messages:
                self._head_of = self._request_count  # of those that are whole: the next one has begun
            return
        if waiting.content.is_eof() or not self._messages:
            return
        fault = self._messages[-1][0]
        if isinstance(fault, RawRequestMessage):
            return
        # The parser gave up within a body that a handler reads, and would tell it nothing.
        self._messages.pop()
        self._malformed.tell(*_fault(fault.exc))
        waiting[FAULT] = "its body is not framed as its head says"
        waiting.content.set_exception(web.RequestPayloadError(waiting[FAULT]))
        waiting.content.feed_eof()  # aiohttp would wait for the rest
        self.close()

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """aiohttp's last word; a connection that ended while the rest of a body was heard out is no fault."""
        if self.connected or not isinstance(kw.get("exc_info"), RuntimeError):
            super().log_exception(*args, **kw)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,  # noqa: ARG002  as aiohttp calls it
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """The answer where no route and no middleware could give one; the connection is closed after it."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun, no other can be given")
        if isinstance(exc, HttpProcessingError):
            kind, why = _fault(exc)
            self._malformed.tell(kind, why)
            response = problem(MALFORMED, f"this is no request: {why}")
        else:
            log.error("http.failed", message=f"a request was not answered: {exc!r}", exc_info=exc)
            response = problem(UNEXPECTED, "this is a fault of the daemon; its log has the cause")
        response.force_close()
        return response


class HttpServer(web.Server):
    """Makes a connection of each client's, and a request of each head, judged as far as its form goes."""

    def __init__(self, inner: web.Server, malformed: MalformedRequests, reaper: Reaper, **options: Any) -> None:
        super().__init__(inner.request_handler, **options)
        self.request_factory = self._request
        self._inner_factory = partial(inner.request_factory, _cls=SafeRequest)  # type: ignore[call-arg]  # of an app
        self._malformed = malformed
        self._reaper = reaper
        self._options = {name: value for name, value in options.items() if name != "handler_cancellation"}

    def __call__(self) -> web.RequestHandler:
        """One more connection."""
        return Connection(self, self._malformed, self._reaper, loop=self._loop, **self._options)

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: Any,
    ) -> web.BaseRequest:
        """The request; aiohttp is kept from answering `Expect` before anybody has looked at the rest."""
        version, expectation, fault = message.version, message.headers.get(hdrs.EXPECT), form_fault(message)
        if version not in (HttpVersion10, HttpVersion11):
            message = message._replace(version=HttpVersion11, should_close=True)
        if expectation is not None:
            others = CIMultiDict((name, value) for name, value in message.headers.items() if name.lower() != "expect")
            message = message._replace(headers=CIMultiDictProxy(others))
        request = self._inner_factory(message, payload, protocol, writer, task)
        if expectation is not None and version == HttpVersion11:
            request[EXPECTATION] = expectation.lower()
        if fault:
            request[FAULT] = fault
            self._malformed.tell("request_line", fault)
        return request


class HttpRunner(web.AppRunner):
    """Serves an application on connections that `reaper` holds; `clock` and `emit` are for what is no request."""

    __slots__ = ("_malformed", "reaper")

    def __init__(
        self, app: web.Application, reaper: Reaper, clock: Clock, emit: Sink = unheard, **options: Any
    ) -> None:
        super().__init__(app, auto_decompress=False, **options)
        self.reaper = reaper
        self._malformed = MalformedRequests(clock, emit)

    async def _make_server(self) -> web.Server:
        return HttpServer(await super()._make_server(), self._malformed, self.reaper, **self._kwargs)


def give_up_body(request: web.BaseRequest) -> None:
    """The answer does without the rest of the body."""
    if isinstance(request.protocol, Connection):
        request.protocol.take_no_more()


async def awaited(request: web.BaseRequest) -> None:
    """Ask a client that waits for it (`Expect: 100-continue`) for its body, once nothing speaks against it."""
    if request.get(EXPECTATION):
        del request[EXPECTATION]
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


def _peer(transport: asyncio.Transport) -> str:
    """The client's address; a local socket's have none."""
    name = transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) else ""


def _fault(error: BaseException) -> tuple[str, str]:
    for kind, word, why in FAULTS:
        if isinstance(error, kind):
            return word, why
    return OTHERWISE
