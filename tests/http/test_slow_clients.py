"""Slow clients and many: each kind is cut at its own deadline, told why where that can be, and nobody else is."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from secondunit.daemon.http.connection_limits import USUAL
from secondunit.daemon.http.transport.reaper import Phase
from secondunit.daemon.monitoring.http_requests import ConnectionShed
from secondunit.queue.value import replace

HOST = b"Host: localhost\r\n"
HEALTH = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
SUBMIT = b"POST /api/jobs HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 31\r\n"
BODY = b'{"type": "idle", "payload": {}}'
KEY = "k" * 32


class Client:
    """A client that says what it likes, when it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def says(self, content: bytes) -> None:
        """Send this, and let it arrive."""
        self._writer.write(content)
        await self._writer.drain()
        await asyncio.sleep(0.02)

    async def hears(self) -> tuple[int, Any]:
        """The next answer's status and content."""
        async with asyncio.timeout(20):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
            return int(head[9:12]), json.loads(await self._reader.readexactly(length))

    async def ends(self) -> bytes:
        """All that comes before the connection is closed, which it must be."""
        async with asyncio.timeout(20):
            return await self._reader.read()

    def leave(self) -> None:
        self._writer.close()


Connect = Callable[[Any], Awaitable[Client]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Opens connections to a harness, and closes them."""
    async with AsyncExitStack() as stack:

        async def connected(harness: Any) -> Client:
            client = Client(*await asyncio.open_connection("127.0.0.1", harness.client.port))
            stack.callback(client.leave)
            return client

        yield connected


async def passes(harness: Any, seconds: int) -> None:
    """So many seconds of the daemon, with a look after each."""
    for _ in range(seconds):
        await harness.clock.advance(1)
        await harness.reaper.sweep()
    await asyncio.sleep(0.02)


def shed(harness: Any) -> list[str]:
    return [fact.why for fact in harness.metrics.facts if isinstance(fact, ConnectionShed)]


@pytest.mark.parametrize("before", [b"", HEALTH], ids=["at first", "after a request"])
@pytest.mark.parametrize("start", [b"GET /", HEALTH[:-2]])
async def test_a_head_that_does_not_end_is_told_so_after_ten_seconds(
    harness: Any, connect: Connect, before: bytes, start: bytes
) -> None:
    client = await connect(harness)
    if before:
        await client.says(before)
        assert (await client.hears())[0] == 200
    await client.says(start)
    await passes(harness, 9)
    await client.says(b"X")
    await passes(harness, 3)
    status, content = await client.hears()
    assert status == 408 and content["type"] == "urn:secondunit:problem:too-slow"
    assert await client.ends() == b"" and shed(harness) == ["head"]


async def test_who_says_nothing_is_told_nothing(harness: Any, connect: Connect) -> None:
    client = await connect(harness)
    await passes(harness, 12)
    assert await client.ends() == b"" and shed(harness) == ["head"]


async def test_a_connection_may_rest_for_75_seconds_between_requests(harness: Any, connect: Connect) -> None:
    client = await connect(harness)
    for _ in range(3):
        await client.says(HEALTH)
        assert (await client.hears())[0] == 200
        await passes(harness, 74)
    await passes(harness, 3)
    assert await client.ends() == b"" and shed(harness) == ["idle"]


@pytest.mark.parametrize("sent", [b"", BODY[:5]])
async def test_a_body_that_does_not_come_on_is_given_up_after_thirty_seconds(
    harness: Any, connect: Connect, sent: bytes
) -> None:
    client = await connect(harness)
    await client.says(SUBMIT + b"\r\n" + sent)
    await passes(harness, 29)
    assert shed(harness) == []
    await passes(harness, 3)
    assert (await client.hears())[0] == 408 and await client.ends() == b"" and shed(harness) == ["body"]
    assert (await harness.call("GET", "/api/jobs"))["total"] == 0


async def test_a_body_that_comes_on_has_all_the_time_it_needs(harness: Any, connect: Connect) -> None:
    client = await connect(harness)
    await client.says(SUBMIT + b"\r\n")
    for byte in BODY[:8]:
        await client.says(bytes([byte]))
        await passes(harness, 25)
    await client.says(BODY[8:])
    assert (await client.hears())[0] == 201 and shed(harness) == []


async def test_a_stream_whose_request_is_never_whole_is_cut(harness: Any, connect: Connect) -> None:
    client = await connect(harness)
    await client.says(b"GET /api/events HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\n")
    await harness.until(lambda: harness.readers == 1)
    await passes(harness, 33)
    assert (await client.ends()).startswith(b"HTTP/1.1 200") and shed(harness) == ["body"]


async def test_a_stream_that_is_read_stays(harness: Any, connect: Connect) -> None:
    client = await connect(harness)
    await client.says(b"GET /api/events HTTP/1.1\r\n" + HOST + b"\r\n")
    await harness.until(lambda: harness.readers == 1)
    await passes(harness, 200)
    assert harness.readers == 1 and shed(harness) == []


async def test_an_answer_that_nobody_takes_is_given_up(harness: Any, connect: Connect) -> None:
    client = await connect(harness)
    await client.says((b"GET /api/openapi.json HTTP/1.1\r\n" + HOST + b"\r\n") * 200)
    [line] = harness.reaper._held
    last, look = None, line.look()
    while look != last or look.phase is not Phase.READER:
        await asyncio.sleep(0.2)
        last, look = look, line.look()
    await passes(harness, 33)
    assert shed(harness) == ["reader"]


async def test_over_the_limit_a_newcomer_hears_why_and_may_come_back(build: Any, connect: Connect) -> None:
    harness = await build(connections=replace(USUAL, total=2))
    busy = [await connect(harness) for _ in range(2)]
    for client in busy:
        await client.says(b"GET /api/events HTTP/1.1\r\n" + HOST + b"\r\n")
    await harness.until(lambda: harness.readers == 2)
    late = await connect(harness)
    await late.says(HEALTH)
    status, content = await late.hears()
    assert status == 503 and content["type"] == "urn:secondunit:problem:too-many-connections"
    assert await late.ends() == b"" and shed(harness) == ["total"]
    busy[0].leave()
    await asyncio.sleep(0.02)
    again = await connect(harness)
    await again.says(HEALTH)
    assert (await again.hears())[0] == 200


async def test_idle_clients_give_way_to_one_that_asks(build: Any, connect: Connect) -> None:
    harness = await build(connections=replace(USUAL, total=4))
    idle = [await connect(harness) for _ in range(4)]
    for client in idle[1:]:
        await client.says(HEALTH)
        assert (await client.hears())[0] == 200
    await passes(harness, 1)
    good = await connect(harness)
    await good.says(HEALTH)
    assert (await good.hears())[0] == 200
    assert await idle[0].ends() == b"" and shed(harness) == ["room"]


@pytest.mark.parametrize(("key", "most"), [({}, 2), ({"api_key": KEY}, 3)], ids=["an address", "a key"])
async def test_event_streams_of_one_client_are_bounded(
    build: Any, connect: Connect, key: dict[str, str], most: int
) -> None:
    limits = replace(USUAL, streams_of_address=2, streams_of_key=3)
    harness = await build(**key, connections=limits)
    ask = b"GET /api/events HTTP/1.1\r\n" + HOST + b"X-API-Key: " + KEY.encode() + b"\r\n\r\n"
    clients = [await connect(harness) for _ in range(most + 1)]
    for client in clients[:most]:
        await client.says(ask)
    await harness.until(lambda: harness.readers == most)
    await clients[most].says(ask)
    status, content = await clients[most].hears()
    assert status == 429 and content["type"] == "urn:secondunit:problem:too-many-streams"
    assert shed(harness) == ["stream"]
    await clients[most].says(HEALTH)
    assert (await clients[most].hears())[0] == 200, "its connection is as good as before"


async def test_connections_of_one_key_are_bounded(build: Any, connect: Connect) -> None:
    harness = await build(api_key=KEY, connections=replace(USUAL, of_key=2))
    stream = b"GET /api/events HTTP/1.1\r\n" + HOST + b"X-API-Key: " + KEY.encode() + b"\r\n\r\n"
    for client in [await connect(harness) for _ in range(2)]:
        await client.says(stream)
    await harness.until(lambda: harness.readers == 2)
    third = await connect(harness)
    await third.says(stream.replace(b"/api/events", b"/api/jobs"))
    status, content = await third.hears()
    assert status == 503 and content["type"] == "urn:secondunit:problem:too-many-connections"
    assert await third.ends() == b"" and shed(harness) == ["key"]
