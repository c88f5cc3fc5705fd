"""Byte relay between the two ends of a connection through the egress proxy, counted, until both are done."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from secondunit.handlers.tools.network.proxy_head import END, close_after, is_interim

PIECE = 64 * 1024
LINGER = 1.0
Count = Callable[[int], bool]


class Side:
    """One of the two ends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Pass data on, as fast as it is taken."""
        self.writer.write(data)
        await self.writer.drain()

    def finish(self) -> None:
        """Say that no more will come, while the other direction may go on."""
        with suppress(OSError, RuntimeError):
            if self.writer.can_write_eof():
                self.writer.write_eof()

    async def end(self) -> None:
        """Let what was sent arrive before the connection is cut."""
        with suppress(TimeoutError):
            self.finish()
            async with asyncio.timeout(LINGER):
                while await self.reader.read(PIECE):  # closing with unread bytes would reset what was sent away
                    pass

    async def refuse(self, status: int, why: str) -> None:
        """Answer with an error that explains itself, and end."""
        challenge = 'Proxy-Authenticate: Basic realm="secondunit"\r\n' if status == 407 else ""
        text = why.encode()
        head = f"HTTP/1.1 {status} Refused\r\n{challenge}Content-Type: text/plain; charset=utf-8\r\n"
        await self.send(f"{head}Content-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode() + text)
        await self.end()


class Relay:
    """Between `client` and `server`; ends when nothing passed either way for `idle` seconds, or `count` says no."""

    def __init__(self, client: Side, server: Side, count: Count, idle: float) -> None:
        self._client = client
        self._server = server
        self._count = count
        self._idle = idle

    async def tunnel(self) -> None:
        """Everything both ways, until both ends have finished."""
        async with asyncio.timeout(self._idle) as watch, asyncio.TaskGroup() as group:
            group.create_task(self._pass_on(self._client, self._server, watch))
            group.create_task(self._pass_on(self._server, self._client, watch))

    async def exchange(self, head: bytes, body: int) -> None:
        """One request, of whose body the client sends `body` bytes, and its answer until the server ends it."""
        async with asyncio.timeout(self._idle) as watch:
            await self._server.send(head)
            sending = asyncio.create_task(self._send_body(body, watch))
            try:
                await self._answer(watch)
            finally:
                sending.cancel()
                await asyncio.wait([sending])

    async def _answer(self, watch: asyncio.Timeout) -> None:
        interim = True
        while interim:
            head = await self._server.reader.readuntil(END)
            if not head.startswith(b"HTTP/1."):
                raise ConnectionAbortedError("not an answer")
            interim = is_interim(head)
            await self._client.send(head if interim else close_after(head))
        await self._pass_on(self._server, self._client, watch)

    async def _send_body(self, body: int, watch: asyncio.Timeout) -> None:
        with suppress(OSError):
            while body and (data := await self._client.reader.read(min(body, PIECE))):
                body -= len(data)
                self._noted(len(data), watch)
                await self._server.send(data)

    async def _pass_on(self, source: Side, sink: Side, watch: asyncio.Timeout) -> None:
        while data := await source.reader.read(PIECE):
            self._noted(len(data), watch)
            await sink.send(data)
        sink.finish()

    def _noted(self, size: int, watch: asyncio.Timeout) -> None:
        if not self._count(size):
            raise ConnectionAbortedError("the permit's bytes are used up")
        watch.reschedule(asyncio.get_running_loop().time() + self._idle)
