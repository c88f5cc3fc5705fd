"""An HTTP client that costs little: keep-alive connections that send the same request and wait for its answer."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass


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
    times: list[float] = []
    refused = 0
    end = time.perf_counter() + seconds

    async def one() -> None:
        nonlocal refused
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while (began := time.perf_counter()) < end:
                writer.write(request)
                refused += await _answer(reader) >= 300
                times.append(time.perf_counter() - began)
        finally:
            writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    took = time.perf_counter() - began
    times.sort()
    return Load(len(times) / took, _at(times, 0.5), _at(times, 0.99), refused)


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    low = head.lower()
    length = int(low.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    await reader.readexactly(length)
    return int(head[9:12])


def _at(times: Sequence[float], part: float) -> float:
    return times[min(int(len(times) * part), len(times) - 1)] * 1000
