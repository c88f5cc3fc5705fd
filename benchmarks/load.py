"""An HTTP client that costs little: keep-alive connections that send the same request and wait for its answer."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Load:
    """What a round of requests showed: how many a second, and the times they took, in ms."""

    per_second: float
    p50: float
    p99: float
    refused: int


def post(path: str, content: object, *, key: str | None = None) -> bytes:
    """A whole request."""
    body = json.dumps(content, separators=(",", ":")).encode()
    head = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *([f"Authorization: Bearer {key}"] if key else []),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


async def load(port: int, request: bytes, connections: int, seconds: float) -> Load:
    """So many connections, each with one request under way at any time."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    clients = [Client(request, began + seconds, loop.create_future()) for _ in range(connections)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*(client.over for client in clients))
    took = time.perf_counter() - began
    times = sorted(each for client in clients for each in client.times)
    refused = sum(client.refused for client in clients)
    return Load(len(times) / took, _at(times, 0.5), _at(times, 0.99), refused)


class Client(asyncio.Protocol):
    """A connection that sends its request again as soon as it is answered, until the end."""

    def __init__(self, request: bytes, end: float, over: "asyncio.Future[None]") -> None:
        self.over = over
        self.times: list[float] = []
        self.refused = 0
        self._request = request
        self._end = end
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport: Any = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Once the answer is whole, the next request."""
        self._answer += data
        head, blank, body = self._answer.partition(b"\r\n\r\n")
        if not blank or len(body) < int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0]):
            return
        now = time.perf_counter()
        self.times.append(now - self._began)
        self.refused += int(head[9:12]) >= 300
        self._answer = b""
        if now < self._end:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, or a failure of the measurement."""
        if exc or time.perf_counter() < self._end:
            self.over.set_exception(exc or ConnectionError("the server hung up"))
        else:
            self.over.set_result(None)

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._request)


class Listener(asyncio.Protocol):
    """An open event stream; `hear` gets what arrives, as it arrives."""

    def __init__(self, path: str, hear: Callable[[bytes], None]) -> None:
        self._request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        self._hear = hear

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self._hear(data)


def _at(times: Sequence[float], part: float) -> float:
    return times[min(int(len(times) * part), len(times) - 1)] * 1000
