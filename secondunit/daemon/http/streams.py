"""Event streams: opened, kept alive, bounded, and ended together when the daemon stops."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp_sse import EventSourceResponse

from secondunit.queue.errors import Draining, QueueError
from secondunit.queue.hub import Dropped

MEDIA_TYPE = "text/event-stream"
WRITE_BUFFER = 32 * 1024
LAST_WORDS = 1.0

log = structlog.get_logger(__name__)


class Channel:
    """One open stream: what its reader has not taken waits in the kernel, then in `WRITE_BUFFER` bytes here.

    Sending raises ConnectionResetError when the reader has gone, TimeoutError when it takes nothing for too long.
    """

    def __init__(self, response: EventSourceResponse, request: web.Request, writer: AbstractStreamWriter) -> None:
        self._response = response
        self._request = request
        self._writer = writer

    @property
    def alive(self) -> bool:
        """Whether the reader was still there at the last comment."""
        return self._response.is_connected()

    async def send(self, data: str, *, event: str | None = None, id: str | None = None) -> None:
        """Send one message."""
        await self._response.send(data, id=id, event=event)
        # aiohttp waits for a slow reader once in 64 KiB only; a thousand of them shall not hold that much each.
        await self._writer.drain()

    async def write(self, *lines: str) -> None:
        """Send fields that make no message of their own."""
        await self._response.write("\n".join((*lines, "", "")).encode())

    def abort(self) -> None:
        """Drop the reader at once, with all that waits for it."""
        if self._request.transport is not None:
            self._request.transport.abort()


class Streams:
    """The streams that are open. A comment goes out every `heartbeat` seconds, so a reader that left is noticed."""

    def __init__(self, heartbeat: float, send_timeout: float) -> None:
        self._heartbeat = heartbeat
        self._send_timeout = send_timeout
        self._open: set[asyncio.Timeout] = set()
        self._over = False

    def end(self) -> None:
        """End every stream, and open no more."""
        self._over = True
        for life in self._open:
            life.reschedule(asyncio.get_running_loop().time())

    async def run(self, request: web.Request, feed: Callable[[Channel], Awaitable[None]]) -> web.StreamResponse:
        """A stream for as long as `feed` feeds it, its reader keeps up and the daemon goes on."""
        if self._over:
            raise Draining("the daemon is stopping; come back in a moment")
        if request.method == "HEAD" or request.transport is None or request.transport.is_closing():
            return web.Response(content_type=MEDIA_TYPE)
        response = EventSourceResponse(sep="\n", ping_interval=self._heartbeat, send_timeout=self._send_timeout)
        writer = await response.prepare(request)
        assert writer is not None
        request.transport.set_write_buffer_limits(high=WRITE_BUFFER)
        channel = Channel(response, request, writer)
        with suppress(ConnectionResetError, TimeoutError, Dropped):
            async with asyncio.timeout(None) as life:
                self._open.add(life)
                try:
                    async with response:
                        await feed(channel)
                except QueueError as error:
                    log.warning("stream.cut", error=str(error))
                finally:
                    self._open.discard(life)
        try:
            async with asyncio.timeout(LAST_WORDS):
                await response.write_eof()
        except (TimeoutError, ConnectionResetError):
            channel.abort()
        return response


STREAMS = web.AppKey("streams", Streams)
