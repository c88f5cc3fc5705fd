"""Server-sent event streams: opened, kept alive, bounded, and ended together when the daemon stops.

aiohttp-sse gives each reader a task, and each message a timer and an encoding of its own: measured with a thousand
readers, 0.1 s of computing for every event, and 700 MiB in a burst of them. Here a message is bytes, made once for all
readers, and one loop looks after all streams.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import NamedTuple

import structlog
from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from secondunit.daemon.http.connection_limits import USUAL, ConnectionLimits
from secondunit.daemon.http.transport.problems import TooManyStreams
from secondunit.daemon.monitoring.http_requests import ConnectionShed
from secondunit.queue.errors import Draining, QueueError
from secondunit.queue.hub import Dropped
from secondunit.queue.instrumentation import Sink, unheard
from secondunit.queue.model import Event

MEDIA_TYPE = "text/event-stream"
HEADERS = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
COMMENT = b": still here\n\n"
WRITE_BUFFER, KERNELS_BUFFER = 32 * 1024, 64 * 1024  # the kernel would hold megabytes for each reader
PATIENCE = (
    1.5  # who does not read is cut, and counted, by the reaper; what is left for us and the kernel ends uncounted
)
TURN = 8
LAST_WORDS = 1.0
MESSAGES_KEPT = 256

log = structlog.get_logger(__name__)


def block(
    data: str | None = None, *, event: str | None = None, id: str | None = None, retry: int | None = None
) -> bytes:
    """One block of a stream, a message if it has `data` (one line, as JSON is); the format is WHATWG HTML's, 9.2."""
    fields = {"id": id, "event": event, "retry": retry, "data": data}
    lines = [f"{name}: {value}\n" for name, value in fields.items() if value is not None]
    return "".join([*lines, "\n"]).encode()


class Channel:
    """One open stream: what its reader has not taken waits in the kernel, then in `WRITE_BUFFER` bytes here."""

    def __init__(
        self,
        chunked: bool,
        writer: AbstractStreamWriter,
        transport: asyncio.Transport,
        life: asyncio.Timeout,
    ) -> None:
        self._chunked = chunked
        self._writer = writer
        self._transport = transport
        self._life = life
        self._blocked_since: float | None = None
        self._sent = 0

    async def send(self, content: bytes) -> None:
        """Send a block once there is room; ConnectionError when the reader has gone."""
        self._write(content)
        if self._transport.get_write_buffer_size() > WRITE_BUFFER:
            self._blocked_since = asyncio.get_running_loop().time()
            await self._writer.drain()
            self._blocked_since = None
        self._sent += 1
        if self._sent % TURN == 0:
            # A burst of events for a thousand readers leaves turns to everybody else.
            await asyncio.sleep(0)

    async def beat(self, now: float, send_timeout: float) -> None:
        """Tell a quiet reader that we are there, and give up one that takes nothing or has gone."""
        if self._blocked_since is not None:
            if now - self._blocked_since > send_timeout * PATIENCE:
                self.abort()
        elif self._transport.get_write_buffer_size() == 0:
            try:
                self._write(COMMENT)
            except ConnectionResetError:
                self.end()

    def _write(self, content: bytes) -> None:
        if self._transport.is_closing():
            raise ConnectionResetError("the reader has gone")
        # aiohttp's own writer frames a message anew for each reader: with a thousand, a tenth of what they all cost.
        self._transport.write(_chunk(content) if self._chunked else content)

    def abort(self) -> None:
        """Drop the reader at once, with all that waits for it."""
        self._transport.abort()
        self.end()

    def end(self) -> None:
        """Let the stream end."""
        if not self._life.expired():
            self._life.reschedule(asyncio.get_running_loop().time())


class Holder(NamedTuple):
    """Whose a stream is: a key's or, without one, an address's."""

    name: str
    has_key: bool

    @property
    def key(self) -> str:
        """The id of its key; without one, nothing."""
        return self.name if self.has_key else ""


class Streams:
    """The streams that are open. Each gets a comment every `heartbeat` seconds; seconds like `send_timeout`."""

    def __init__(
        self,
        heartbeat: float,
        send_timeout: float,
        limits: ConnectionLimits = USUAL,
        emit: Sink = unheard,
    ) -> None:
        self._heartbeat = heartbeat
        self._send_timeout = send_timeout
        self._limits = limits
        self._emit = emit
        self._held: Counter[Holder] = Counter()
        self._open: dict[Channel, Holder] = {}
        self._cut: set[str] = set()
        self._over = False
        self.messages = Messages()

    async def keep(self) -> None:
        """Look after the streams, for ever."""
        while True:
            await asyncio.sleep(self._heartbeat)
            now = asyncio.get_running_loop().time()
            for channel in tuple(self._open):
                await channel.beat(now, self._send_timeout)

    def end(self) -> None:
        """End every stream, and open no more."""
        self._over = True
        for channel in self._open:
            channel.end()

    def cut(self, key: str) -> None:
        """End at once the streams of a key that is valid no more, or with "" those without a key."""
        self._cut.add(key)
        for channel, holder in tuple(self._open.items()):
            if holder.key == key:
                channel.abort()

    async def run(self, request: web.Request, feed: Callable[[Channel], Awaitable[None]]) -> web.StreamResponse:
        """A stream for as long as `feed` feeds it, its reader keeps up and the daemon goes on."""
        if self._over:
            raise Draining("the daemon is stopping; come back in a moment")
        if request.method == "HEAD" or request.transport is None or request.transport.is_closing():
            return web.Response(headers=HEADERS)
        with self._place(request[HOLDER]):
            return await self._run(request, request.transport, feed)

    @contextmanager
    def _place(self, holder: Holder) -> Iterator[None]:
        """Room for one more stream, as long as this is open."""
        most = self._limits.streams_of_key if holder.has_key else self._limits.streams_of_address
        if self._held[holder] >= most or self._held.total() >= self._limits.streams:
            self._emit(ConnectionShed("stream"))
            raise TooManyStreams(f"no more than {most} event streams may be open; close some, or come back later")
        self._held[holder] += 1
        try:
            yield
        finally:
            self._held[holder] -= 1
            if not self._held[holder]:
                del self._held[holder]

    async def _run(
        self, request: web.Request, transport: asyncio.Transport, feed: Callable[[Channel], Awaitable[None]]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=HEADERS)
        chunked = request.version >= HttpVersion11
        if chunked:
            response.enable_chunked_encoding()
        writer = await response.prepare(request)
        if writer is None:
            return response
        _limit(transport, self._send_timeout)
        with suppress(ConnectionError, TimeoutError, Dropped):  # aiohttp tells of a lost one by the plainest of them
            async with asyncio.timeout(None) as life:
                channel = Channel(chunked, writer, transport, life)
                self._open[channel] = holder = request[HOLDER]
                if holder.key in self._cut:  # since it was let in
                    channel.abort()
                try:
                    await feed(channel)
                except QueueError as error:
                    log.warning("stream.cut", error=str(error))
                finally:
                    del self._open[channel]
        try:
            async with asyncio.timeout(LAST_WORDS):
                await response.write_eof()
        except (TimeoutError, ConnectionError):
            transport.abort()
        return response


class Messages:
    """What is sent of each event, made once for all readers; an event is known by identity, which costs no hashing.

    Of a tenant's own event (its `tenant`) its readers are told in other words than those who see all.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[int, str | None], tuple[Event, bytes]] = {}

    def of(self, event: Event, make: Callable[[Event], bytes], tenant: str | None = None) -> bytes:
        """The event's message, by `make` if it is not there."""
        made = self._made.get(key := (id(event), tenant))
        if made is None or made[0] is not event:
            if len(self._made) >= MESSAGES_KEPT:
                self._made.clear()
            made = self._made[key] = (event, make(event))
        return made[1]


STREAMS = web.AppKey("streams", Streams)
HOLDER = web.RequestKey("holder of streams", Holder)


@lru_cache(maxsize=64)
def _chunk(content: bytes) -> bytes:
    """The content as HTTP/1.1 frames it (RFC 9112, 7.1), made once for all readers."""
    return b"%x\r\n%b\r\n" % (len(content), content)


def _limit(transport: asyncio.Transport, send_timeout: float) -> None:
    """Hold little for a reader, and let the kernel notice one whose machine is gone: its acknowledgements stop."""
    transport.set_write_buffer_limits(high=WRITE_BUFFER)
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNELS_BUFFER)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(send_timeout * PATIENCE * 1000))
