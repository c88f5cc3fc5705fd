"""Egress proxy: the one way out for programs that fetch by themselves, on loopback, every address judged.

A program gets a permit: the proxy's URL with a token that is good for one job. Each connection looks its name up once,
is refused if any of the addresses is, and connects to what was judged, by address. What was refused is told to the job.
"""

import asyncio
import errno
import secrets
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from secondunit.handlers.tools.network.addresses import AddressRefused, AddressRule
from secondunit.handlers.tools.network.proxy_head import END, BadHead, ProxyRequest, parse_request
from secondunit.handlers.tools.network.proxy_relay import Relay, Side
from secondunit.handlers.tools.network.resolver import AddrInfo, JudgingResolver, Lookup

HOST, USER = "127.0.0.1", "job"
LARGEST_HEAD = 64 * 1024
MOST_CONNECTIONS = 512
GONE = (OSError, EOFError, asyncio.LimitOverrunError, ExceptionGroup)
OpenSocket = Callable[[AddrInfo], socket.socket]


@dataclass(frozen=True, slots=True)
class ProxyTimeouts:
    """How many seconds the proxy waits: for a client's head, for a look-up and connect, and for either side's bytes."""

    head: float = 10
    connect: float = 20
    idle: float = 60


@dataclass(slots=True)
class Permit:
    """One job's leave to go out: `denied` says what was refused first, `spent` that it moved more than it may."""

    url: str
    left: int
    denied: str | None = None
    spent: bool = False
    connections: set[asyncio.Task[None]] = field(default_factory=set)

    def count(self, size: int) -> bool:
        """Whether these bytes may still pass."""
        self.left -= size
        self.spent = self.spent or self.left < 0
        return not self.spent


class Egress:
    """The proxy; an async context manager. `open_socket` stands in for the system's sockets in tests."""

    def __init__(
        self,
        rule: AddressRule,
        *,
        lookup: Lookup | None = None,
        open_socket: OpenSocket | None = None,
        timeouts: ProxyTimeouts = ProxyTimeouts(),
    ) -> None:
        self._rule = rule
        self._resolver = JudgingResolver(rule, lookup)
        self._open_socket = open_socket or (lambda info: socket.socket(info[0], info[1], info[2]))
        self._timeouts = timeouts
        self._permits: dict[str, Permit] = {}
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0, limit=LARGEST_HEAD)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        _cancel(self._connections)
        if self._connections:
            await asyncio.wait(self._connections)

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        if self._server is None:
            raise RuntimeError("the proxy is not open")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @contextmanager
    def permit(self, most_bytes: int) -> Iterator[Permit]:
        """A token for one job, good for so many bytes in all; its connections end with the permit."""
        token = secrets.token_urlsafe(32)
        permit = Permit(f"http://{USER}:{token}@{HOST}:{self.port}", most_bytes)
        self._permits[token] = permit
        try:
            yield permit
        finally:
            del self._permits[token]
            _cancel(permit.connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= MOST_CONNECTIONS:
            writer.close()
            return
        self._connections.add(task)
        try:
            await self._answer(task, Side(reader, writer))
        except GONE:
            pass  # either end went away or was too slow: all that is left is to hang up
        except asyncio.CancelledError:
            pass  # the permit ended; nobody waits for this task
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _answer(self, task: asyncio.Task[None], client: Side) -> None:
        try:
            async with asyncio.timeout(self._timeouts.head):
                ask = parse_request(await client.reader.readuntil(END))
        except BadHead as bad:
            await client.refuse(bad.status, str(bad))
            return
        permit = self._permits.get(ask.token or "")
        if permit is None:
            await client.refuse(407, "no permit")
            return
        permit.connections.add(task)
        try:
            await self._forward(permit, ask, client)
        finally:
            permit.connections.discard(task)

    async def _forward(self, permit: Permit, ask: ProxyRequest, client: Side) -> None:
        try:
            async with asyncio.timeout(self._timeouts.connect):
                server = await self._connect(ask.host, ask.port)
        except AddressRefused as refused:
            permit.denied = permit.denied or str(refused)
            await client.refuse(403, str(refused))
            return
        except OSError as error:  # TimeoutError is one
            await client.refuse(502, f"{ask.host} can't be reached: {error.strerror or type(error).__name__}")
            return
        try:
            relay = Relay(client, server, permit.count, self._timeouts.idle)
            if ask.tunnel:
                await client.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await relay.tunnel()
            else:
                await relay.exchange(ask.head, ask.body)
                await client.end()
        finally:
            server.writer.transport.abort()

    async def _connect(self, host: str, port: int) -> Side:
        """To the first of the judged addresses that answers."""
        last = OSError(errno.EHOSTUNREACH, "no address")
        for found in await self._resolver.resolve(host, port):
            address = found["host"], found["port"]
            self._rule.admit(host, address[0])
            opened = self._open_socket((found["family"], socket.SOCK_STREAM, found["proto"], "", address))
            try:
                return await _open(opened, address)
            except OSError as error:
                last = error
        raise last


async def _open(opened: socket.socket, address: tuple[str, int]) -> Side:
    try:
        opened.setblocking(False)
        await asyncio.get_running_loop().sock_connect(opened, address)
        return Side(*await asyncio.open_connection(sock=opened, limit=LARGEST_HEAD))
    except BaseException:
        opened.close()
        raise


def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tuple(tasks):
        task.cancel()
