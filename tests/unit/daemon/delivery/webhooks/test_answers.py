"""What each answer of a receiver comes to, and none."""

import asyncio
import socket
from datetime import timedelta

import pytest
from aiohttp import web

from secondunit.daemon.delivery.policy import Delivered, Gone, TryLater, receiver_works
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.testing.jobs import NOW
from tests.unit.daemon.delivery.webhooks.receiver import Receiver, delivery, sending, sent_to


@pytest.mark.parametrize("status", [400, 401, 404, 409, 429, 500, 503])
async def test_any_other_answer_is_tried_later(status: int) -> None:
    assert await sent_to(Receiver(status).answer) == TryLater(f"the receiver answered {status}", status)


async def test_a_receiver_that_is_gone_ends_it_at_once() -> None:
    assert await sent_to(Receiver(410).answer) == Gone("the receiver answered 410: it wants no more of these", 410)


@pytest.mark.parametrize("status", [301, 302, 307])
async def test_a_redirect_is_not_followed_and_tried_later(status: int) -> None:
    receiver = Receiver(status)
    assert await sent_to(receiver.answer) == TryLater(
        f"the receiver answered {status}; redirects are not followed", status
    )
    assert receiver.paths == ["POST /hook"]


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("30", timedelta(seconds=30)),
        (" 0 ", timedelta()),
        pytest.param(
            f"{NOW + timedelta(seconds=90):%a, %d %b %Y %H:%M:%S GMT}", timedelta(seconds=90), id="in 90 seconds"
        ),
        ("Thu, 01 Jan 1970 00:00:00 GMT", timedelta()),
        ("99999999999999999999", timedelta(days=7)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", timedelta(days=7)),
        ("-5", None),
        ("soon", None),
        ("Fri, 99 Foo 99999 99:99:99 GMT", None),
        ("²", None),
        ("", None),
    ],
)
async def test_a_wish_to_wait_is_understood_as_seconds_or_a_date(value: str, wait: timedelta | None) -> None:
    async def busy(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": value})

    sent = await sent_to(busy)
    assert isinstance(sent, TryLater)
    assert (sent.delay is None) == (wait is None)
    if wait is not None and sent.delay is not None:
        assert sent.delay == wait


async def test_a_receiver_that_does_not_answer_is_left_after_the_time_limit() -> None:
    async def hang(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    assert await sent_to(hang, timeout=0.2) == TryLater("the receiver gave no answer within 0.2 s")


async def test_nobody_there_is_tried_later() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with sending() as sender:
            sent = await sender.send(delivery(f"http://127.0.0.1:{taken.getsockname()[1]}/"))
    assert isinstance(sent, TryLater) and sent.status is None and "onnect" in sent.error


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff garbage\r\n\r\n",
        b"HTTP/1.1 banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\nX: " + b"y" * 100_000,
    ],
)
async def test_nonsense_instead_of_an_answer_is_tried_later(raw: bytes) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server, sending() as sender:
        sent = await sender.send(delivery(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))
    assert isinstance(sent, TryLater) and sent.error and not receiver_works(sent)


async def test_an_endless_answer_is_dropped_and_its_status_counts() -> None:
    written = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse(headers={"Content-Encoding": "gzip"})
        await response.prepare(request)
        while written < 1 << 30:
            await response.write(b"x" * 65536)
            written += 65536
        return response

    assert await sent_to(flood) == Delivered(200)
    assert written < 64 << 20


async def test_an_answer_that_breaks_off_counts_by_its_status() -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"{")
        assert request.transport is not None
        request.transport.abort()
        return response

    assert await sent_to(half) == Delivered(200)


async def test_a_result_that_is_no_json_is_given_up_at_once() -> None:
    async with sending() as sender:
        for result in ({"ratio": float("nan")}, {"at": NOW}, {"text": "\ud800"}):
            sent = await sender.send(delivery("http://127.0.0.1:9/", result=result))
            assert isinstance(sent, Gone)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://10.0.0.1/", "http://[::ffff:7f00:1]:9/"])
async def test_a_refused_address_is_tried_later_and_says_which_setting_permits_it(url: str) -> None:
    async with sending(AddressRule()) as sender:
        sent = await sender.send(delivery(url))
    assert isinstance(sent, TryLater)
    assert "ALLOW_PRIVATE_ADDRESSES" in sent.error
