"""A refused request costs less than a served one: nothing of its body is read, asked for or unpacked."""

import asyncio
import gzip
import json
import socket
import zlib
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web

from secondunit.daemon.http.connection_limits import USUAL
from secondunit.daemon.http.transport.connections import READ_OF_A_REFUSED_BODY, HttpRunner, give_up_body
from secondunit.daemon.http.transport.reaper import Reaper
from secondunit.daemon.process.clock import SystemClock

KEY = "k" * 32
MIB = 1024 * 1024
IDLE = b'{"type": "idle", "payload": {}}'
HEAD = "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: {}\r\n{}Content-Length: {}\r\n\r\n"


def head(
    path: str = "/api/jobs", host: str = "localhost", kind: str = "application/json", more: str = "", length: int = 31
) -> bytes:
    return HEAD.format(path, host, kind, more, length).encode()


class Line:
    """A connection on which a client says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer, also one that only asks for the body."""
        async with asyncio.timeout(20):
            first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines if line)
            content = await self.reader.readexactly(int(headers.get("Content-Length", 0)))
        return int(first.split()[1]), headers, content

    async def closed(self) -> bool:
        """Whether nothing more comes."""
        async with asyncio.timeout(20):
            try:
                return await self.reader.read() == b""
            except ConnectionResetError:
                return True


async def opened(harness: Any) -> Line:
    return Line(*await asyncio.open_connection("127.0.0.1", harness.client.port))


REFUSED = {
    "no key": (401, head()),
    "no such path": (404, head("/nothing")),
    "no such method": (405, head("/health")),
    "too large": (413, head(more=f"X-API-Key: {KEY}\r\n", length=100 * MIB)),
    "another type": (415, head(kind="text/plain", more=f"X-API-Key: {KEY}\r\n")),
    "another charset": (415, head(kind="application/json; charset=utf-16", more=f"X-API-Key: {KEY}\r\n")),
    "an unknown packing": (415, head(more=f"X-API-Key: {KEY}\r\nContent-Encoding: br\r\n")),
    "packed twice": (415, head(more=f"X-API-Key: {KEY}\r\nContent-Encoding: gzip, gzip\r\n")),
    "packed in two lines": (
        415,
        head(more=f"X-API-Key: {KEY}\r\nContent-Encoding: gzip\r\nContent-Encoding: gzip\r\n"),
    ),
    "two keys of one name": (400, head(more=f"X-API-Key: {KEY}\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\n")),
}


@pytest.mark.parametrize("why", REFUSED)
@pytest.mark.parametrize("more", ["", "Expect: 100-continue\r\n"])
async def test_a_refusal_comes_without_the_body_and_closes_the_connection(build: Any, why: str, more: str) -> None:
    status, request = REFUSED[why]
    harness = await build(api_key=KEY)
    line = await opened(harness)
    line.writer.write(request.replace(b"Content-Length", more.encode() + b"Content-Length"))
    found, headers, content = await line.answer()
    assert (found, headers["Content-Type"]) == (status, "application/problem+json"), content
    assert headers["Connection"] == "close" and await line.closed()
    line.writer.close()


@pytest.mark.parametrize("host", ["evil.example", "localhost"])
async def test_a_body_that_may_come_is_asked_for_once(build: Any, host: str) -> None:
    line = await opened(await build())
    line.writer.write(head(host=host, more="Expect: 100-Continue\r\n"))
    status, _, _ = await line.answer()
    assert status == (421 if host == "evil.example" else 100)
    if status == 100:
        line.writer.write(IDLE)
        assert (await line.answer())[0] == 201
    line.writer.close()


async def test_an_expectation_that_is_not_known_is_refused_and_none_is_met_for_http_1_0(harness: Any) -> None:
    line = await opened(harness)
    line.writer.write(head(more="Expect: a dance\r\n"))
    status, _, content = await line.answer()
    assert status == 417 and json.loads(content)["type"] == "urn:secondunit:problem:unknown-expectation"
    line.writer.close()
    line = await opened(harness)
    line.writer.write(head(more="Expect: 100-continue\r\n").replace(b"HTTP/1.1", b"HTTP/1.0") + IDLE)
    assert (await line.answer())[0] == 201
    line.writer.close()


async def test_a_form_is_asked_for_too(harness: Any) -> None:
    line = await opened(harness)
    line.writer.write(head("/analyze", kind="multipart/form-data; boundary=x", more="Expect: 100-continue\r\n"))
    assert (await line.answer())[0] == 422  # no Gemini here: the video is not even asked for
    assert await line.closed()
    line.writer.close()


async def test_a_flood_behind_a_refusal_is_cut_off(build: Any) -> None:
    line = await opened(await build(api_key=KEY))
    line.writer.write(head(length=1000 * MIB))
    assert (await line.answer())[0] == 401
    sent = 0
    with suppress(ConnectionError):
        async with asyncio.timeout(20):
            while sent < 64 * MIB:
                line.writer.write(b" " * 65536)
                await line.writer.drain()
                sent += 65536
    assert sent < 16 * MIB
    line.writer.close()


async def test_who_sends_all_before_reading_finds_the_answer_and_no_reset_connection() -> None:
    async def refuse(request: web.Request) -> web.Response:
        give_up_body(request)
        return web.Response(status=413, headers={"Connection": "close"})

    app = web.Application()
    app.router.add_post("/", refuse)
    limits: dict[str, Any] = {"lingering_time": 60.0, "shutdown_timeout": 0.1}  # the client is done long before
    runner = HttpRunner(app, Reaper("api", USUAL, (), SystemClock()), SystemClock(), **limits)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        assert b" 413 " in await asyncio.to_thread(answer_of_a_flood, runner.addresses[0])
    finally:
        await runner.cleanup()


def answer_of_a_flood(address: tuple[str, int]) -> bytes:
    """What is read after all was sent that could be; nginx and Node's fetch give up at a reset before they read."""
    with socket.create_connection(address, 20) as line:
        line.sendall(head("/", length=999_999_999))
        line.settimeout(0.5)
        with suppress(TimeoutError):
            while line.send(bytes(65536)):
                pass
        line.settimeout(20)
        return line.recv(4096)


async def test_a_connection_that_is_cut_off_while_more_waits_to_be_read_is_no_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def answer(request: web.Request) -> web.Response:
        def flood() -> None:  # as uvloop does: all that came, before anybody who waits for some of it
            request.protocol.data_received(b" ")
            request.protocol.data_received(b" " * READ_OF_A_REFUSED_BODY)

        give_up_body(request)
        asyncio.get_running_loop().call_later(0.1, flood)
        return web.Response()

    app = web.Application()
    app.router.add_post("/", answer)
    runner = HttpRunner(app, Reaper("api", USUAL, (), SystemClock()), SystemClock(), lingering_time=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(head("/", length=999_999_999))
        line = Line(reader, writer)
        assert (await line.answer())[0] == 200
        assert await line.closed()
        writer.close()
    finally:
        await runner.cleanup()
    assert caplog.records == []


async def test_what_is_answered_without_its_body_is_not_followed_by_another_request(harness: Any) -> None:
    line = await opened(harness)
    packed = gzip.compress(b" " * MIB)
    request = (
        f"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    )
    line.writer.write(request.encode() + packed)
    status, headers, _ = await line.answer()
    assert (status, headers["Connection"]) == (200, "close") and await line.closed()
    line.writer.close()


PACKED = {"gzip": gzip.compress(IDLE), "x-gzip": gzip.compress(IDLE), "deflate": zlib.compress(IDLE), "identity": IDLE}


@pytest.mark.parametrize("coding", PACKED)
async def test_a_packed_body_is_unpacked(harness: Any, coding: str) -> None:
    line = await opened(harness)
    body = PACKED[coding]
    line.writer.write(head(more=f"Content-Encoding: {coding.upper()}\r\n", length=len(body)) + body)
    assert (await line.answer())[0] == 201
    line.writer.close()


BLOCK = zlib.compressobj(9, wbits=-15)
BOMB = b"".join(
    (gzip.compress(b"")[:10], (BLOCK.compress(b" " * MIB) + BLOCK.flush(zlib.Z_FULL_FLUSH)) * 200)
)  # a block of a MiB, 200 times: packing all of it takes a second
BROKEN = {
    "cut off": (400, gzip.compress(IDLE)[:-9]),
    "its end is cut off": (400, gzip.compress(IDLE)[:-1]),
    "nothing": (400, b""),
    "something else": (400, IDLE),
    "something behind it": (400, gzip.compress(IDLE) + b"x"),
    "another behind it": (400, gzip.compress(IDLE) + gzip.compress(IDLE)),
    "a wrong checksum": (400, gzip.compress(IDLE)[:-8] + b"\0" * 8),
    "a bomb": (413, BOMB),
    "one byte too many": (413, gzip.compress(b" " * (MIB + 1))),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_a_packed_body_that_can_not_be_unpacked_is_refused_and_the_connection_closed(
    harness: Any, what: str
) -> None:
    status, body = BROKEN[what]
    for path in ("/api/jobs", "/api/jobs/cancel"):
        line = await opened(harness)
        line.writer.write(head(path, more="Content-Encoding: gzip\r\n", length=len(body)) + body)
        found, headers, content = await line.answer()
        assert (found, headers["Content-Type"]) == (status, "application/problem+json"), content
        assert await line.closed() or not body
        line.writer.close()


async def test_just_the_limit_may_be_in_a_packed_body(harness: Any) -> None:
    line, body = await opened(harness), gzip.compress(IDLE.ljust(MIB))
    line.writer.write(head(more="Content-Encoding: gzip\r\n", length=len(body)) + body)
    assert (await line.answer())[0] == 201
    line.writer.close()


async def test_a_client_that_is_served_keeps_its_connection(harness: Any) -> None:
    line = await opened(harness)
    for _ in range(3):
        line.writer.write(head() + IDLE)
        status, headers, _ = await line.answer()
        assert status == 201 and "Connection" not in headers
    line.writer.close()
