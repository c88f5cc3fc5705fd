"""The egress proxy: no way around its judgement, nothing without a permit, and no connection that stays for ever.

Sockets to anywhere but 127.0.0.1 are recorders: they fail without a packet, so that a hole is seen and not used.
"""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from ipaddress import ip_network

import pytest
from aiohttp import ClientHttpProxyError, ClientSession, web
from yarl import URL

from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.handlers.tools.network.proxy import Egress, Permit, ProxyTimeouts
from secondunit.handlers.tools.network.resolver import AddrInfo
from secondunit.testing.fakes.website import Site, serving

HERE = AddressRule((ip_network("127.0.0.1/32"),))
PUBLIC_ONLY = AddressRule()
QUICK = ProxyTimeouts(head=0.3, connect=2, idle=0.3)
MANY = 1 << 30


class Recorder:
    """Opens sockets to 127.0.0.1 only where the test lets it; notes every address that was asked for."""

    def __init__(self, *, real: bool) -> None:
        self.asked: list[str] = []
        self._real = real

    def __call__(self, info: AddrInfo) -> socket.socket:
        self.asked.append(info[4][0])
        if self._real and info[4][0] == "127.0.0.1":
            return socket.socket(info[0], info[1], info[2])
        raise OSError("no network in tests")


class Lookup:
    """A name's answers, one after the other; the last one stays. Literals are what they are, in any spelling."""

    def __init__(self, answers: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self._answers = {name: list(rounds) for name, rounds in answers.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, family: int) -> Sequence[AddrInfo]:
        self.asked.append(host)
        rounds = self._answers.get(host)
        if rounds is None:
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        addresses = rounds.pop(0) if len(rounds) > 1 else rounds[0]
        kinds = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [
            (kind, socket.SOCK_STREAM, 6, "", (address, port)) for kind, address in zip(kinds, addresses, strict=True)
        ]


async def get(permit: Permit, url: str) -> tuple[int, str]:
    async with ClientSession() as session, session.get(URL(url, encoded=True), proxy=permit.url) as response:
        return response.status, await response.text()


@asynccontextmanager
async def raw(permit: Permit) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the proxy."""
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(permit.url).port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):  # left open, it would be found in another test
            await writer.wait_closed()


def authorised(permit: Permit) -> bytes:
    return b"Proxy-Authorization: Basic " + base64.b64encode(f"job:{URL(permit.url).password}".encode()) + b"\r\n"


async def ask(permit: Permit, request: bytes) -> bytes:
    """What the proxy says to these bytes until it hangs up."""
    async with raw(permit) as (reader, writer):
        writer.write(request)
        async with asyncio.timeout(30):
            return await reader.read(-1)


async def test_an_allowed_file_comes_through(site: Site) -> None:
    site.file("/film.mp4", b"film" * 100_000)
    async with Egress(HERE) as egress:
        with egress.permit(MANY) as permit:
            status, text = await get(permit, site.url("/film.mp4"))
    assert (status, text) == (200, "film" * 100_000)
    assert permit.denied is None
    assert not [name for name in site.requests[0].headers if name.lower().startswith("proxy")]
    assert site.requests[0].headers["Host"] == URL(site.base).authority


async def test_a_request_with_a_body_comes_through(site: Site) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    site.routes["/echo"] = echo
    async with Egress(HERE) as egress, ClientSession() as session:
        with egress.permit(MANY) as permit:
            async with session.post(site.url("/echo"), data=b"x" * 300_000, proxy=permit.url) as response:
                assert await response.read() == b"x" * 300_000


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "017700000001",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[ff02::1]",
        "inner.example",
        "mixed.example",
    ],
)
@pytest.mark.parametrize("tunnel", [False, True])
async def test_no_private_address_is_connected_to_in_any_spelling(host: str, tunnel: bool) -> None:
    lookup = Lookup({"inner.example": [["127.0.0.1"]], "mixed.example": [["93.184.215.14", "10.0.0.5"]]})
    recorder = Recorder(real=False)
    async with Egress(PUBLIC_ONLY, lookup=lookup, open_socket=recorder) as egress:
        with egress.permit(MANY) as permit:
            line = f"CONNECT {host}:80 HTTP/1.1" if tunnel else f"GET http://{host}/ HTTP/1.1\r\nHost: {host}"
            answer = await ask(permit, line.encode() + b"\r\n" + authorised(permit) + b"\r\n")
    assert recorder.asked == []
    assert answer.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 "))
    if answer.startswith(b"HTTP/1.1 403 "):
        assert permit.denied is not None and "ALLOW_PRIVATE_ADDRESSES" in permit.denied


async def test_the_address_that_was_judged_is_the_one_connected_to() -> None:
    lookup, recorder = Lookup({"evil.example": [["93.184.215.14"], ["127.0.0.1"]]}), Recorder(real=True)
    async with Egress(PUBLIC_ONLY, lookup=lookup, open_socket=recorder) as egress:
        with egress.permit(MANY) as permit:
            assert (await get(permit, "http://evil.example/"))[0] == 502
            assert lookup.asked == ["evil.example"] and recorder.asked == ["93.184.215.14"]
            assert (await get(permit, "http://evil.example/"))[0] == 403
    assert recorder.asked == ["93.184.215.14"]


async def test_a_server_on_an_address_that_is_not_allowed_sees_nothing(site: Site) -> None:
    async with serving("127.0.0.2") as canary, Egress(HERE) as egress:
        site.says("/away", 302, Location=canary.url("/secret"))
        with egress.permit(MANY) as permit:
            status, text = await get(permit, site.url("/away"))
            assert status == 403 and "127.0.0.2 is loopback" in text
            with pytest.raises(ClientHttpProxyError):
                await get(permit, canary.url("/secret").replace("http:", "https:"))
    assert canary.requests == []


async def test_without_its_token_nothing_goes_out(site: Site) -> None:
    async with Egress(HERE) as egress:
        with egress.permit(MANY) as permit:
            pass
        assert (await get(permit, site.url("/")))[0] == 407
        other = Permit(f"http://job:guess@127.0.0.1:{egress.port}", MANY)
        assert (await get(other, site.url("/")))[0] == 407
        assert (await ask(other, f"GET {site.url('/')} HTTP/1.1\r\n\r\n".encode())).startswith(b"HTTP/1.1 407 ")
    assert site.requests == []


async def test_the_end_of_a_permit_ends_its_connections(site: Site) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 1000)
            await asyncio.sleep(0.01)

    site.routes["/endless"] = endless
    async with Egress(HERE) as egress:
        with ExitStack() as held:
            permit = held.enter_context(egress.permit(MANY))
            async with raw(permit) as (reader, writer):
                writer.write(f"GET {site.url('/endless')} HTTP/1.1\r\n".encode() + authorised(permit) + b"\r\n")
                await reader.readexactly(2000)
                held.close()
                async with asyncio.timeout(30):
                    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                        await reader.readexactly(MANY)


async def test_no_more_bytes_pass_than_are_permitted(site: Site) -> None:
    site.file("/film.mp4", b"x" * 1_000_000)
    async with Egress(HERE) as egress:
        with egress.permit(300_000) as permit:
            head = f"GET {site.url('/film.mp4')} HTTP/1.1\r\n".encode() + authorised(permit) + b"\r\n"
            async with raw(permit) as (reader, writer):
                writer.write(head)
                got = b""
                try:
                    while piece := await reader.read(65536):
                        got += piece
                except ConnectionError:
                    pass
    assert permit.spent and len(got) < 400_000


async def test_a_tunnel_passes_both_ways_and_through_a_half_close() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read(-1)).upper())
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Egress(HERE) as egress:
        with egress.permit(MANY) as permit:
            async with raw(permit) as (reader, writer):
                writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n".encode() + authorised(permit) + b"\r\n")
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
                writer.write(b"hello")
                writer.write_eof()
                assert await reader.read(-1) == b"HELLO"


@pytest.mark.parametrize(
    "request_head",
    [
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET http://127.0.0.1/ HTTP/2\r\n\r\n",
        b"GET http://127.0.0.1/ HTTP/1.1\r\nBad header: x\r\n\r\n",
        b"GET ftp://127.0.0.1/ HTTP/1.1\r\n\r\n",
        b"GET https://127.0.0.1/ HTTP/1.1\r\n\r\n",
        b"CONNECT 127.0.0.1 HTTP/1.1\r\n\r\n",
        b"CONNECT a@127.0.0.1:80 HTTP/1.1\r\n\r\n",
        b"CONNECT 127.0.0.1:99999 HTTP/1.1\r\n\r\n",
        b"POST http://127.0.0.1/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST http://127.0.0.1/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET http://127.0.0.1/ HTTP/1.1\r\nX: a\nProxy: b\r\n\r\n",
    ],
)
async def test_what_is_no_proper_request_is_refused(request_head: bytes) -> None:
    recorder = Recorder(real=False)
    async with Egress(HERE, open_socket=recorder, timeouts=QUICK) as egress:
        with egress.permit(MANY) as permit:
            assert (await ask(permit, request_head)).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 411 "))
    assert recorder.asked == []


@pytest.mark.parametrize("sent", [b"", b"GET http://127", b"GET http://127.0.0.1/ HTTP/1.1\r\nX: " + b"x" * 200_000])
async def test_a_client_that_never_finishes_its_head_is_hung_up_on(sent: bytes) -> None:
    async with Egress(HERE, timeouts=QUICK) as egress:
        with egress.permit(MANY) as permit, suppress(ConnectionError):
            assert await ask(permit, sent) == b""


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, b"garbage\r\n\r\n"])
async def test_a_server_that_answers_nothing_proper_costs_a_connection_only(answer: bytes) -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(rude, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Egress(HERE, timeouts=QUICK) as egress:
        with egress.permit(MANY) as permit:
            head = f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\n".encode() + authorised(permit) + b"\r\n"
            with suppress(ConnectionError):
                assert await ask(permit, head) == b""
        assert egress._connections == set()


async def test_a_second_request_on_the_same_connection_reaches_nobody(site: Site) -> None:
    site.says("/one", text="one")
    async with Egress(HERE, timeouts=QUICK) as egress:
        with egress.permit(MANY) as permit:
            request = b"GET %s HTTP/1.1\r\n" + authorised(permit) + b"\r\n"
            urls = site.url("/one").encode(), site.url("/two").encode()
            answer = await ask(permit, request % urls[0] + request % urls[1])
    assert b"Connection: close" in answer and answer.endswith(b"one")
    assert [request.path for request in site.requests] == ["/one"]
