"""Callbacks over real loopback sockets: what a receiver gets, and what each of its answers comes to."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, tzinfo
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import ClientTimeout, web
from aiohttp.test_utils import TestServer
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from secondunit.daemon.delivery.dispatcher import Deliverer, DeliveryTried
from secondunit.daemon.delivery.policy import Delivered, Gone, Sent, TryLater, receiver_works
from secondunit.daemon.delivery.webhooks import CallbackSender, callback_body, signer
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.handlers.tools.network.resolver import AddrInfo
from secondunit.handlers.tools.network.session import guarded_session
from secondunit.queue.instrumentation import Fact
from secondunit.queue.model import Notice, Status, Target
from secondunit.queue.outcome import JobError
from secondunit.queue.store import Delivery
from secondunit.queue.stores.memory_ports import MemoryOutbox
from secondunit.queue.value import replace
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import NOW, NoJitter

LOOPBACK = AddressRule((ip_network("127.0.0.0/8"),))
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class OfTheReceiver(datetime):
    """The clock by which a receiver judges how old a signature is."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "OfTheReceiver":
        return cls.fromtimestamp(NOW.timestamp(), tz)


@pytest.fixture(autouse=True)
def _receivers_share_our_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("standardwebhooks.webhooks.datetime", OfTheReceiver)


class Receiver:
    """A callback's receiver: answers from a script of statuses (the last one stays) and keeps what it got."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.got.append((dict(request.headers), await request.read()))
        self.paths.append(f"{request.method} {request.path_qs}")
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status in (301, 302, 307) else {})


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(app, host="127.0.0.1")
    async with server:
        yield str(server.make_url("/hook"))


@asynccontextmanager
async def sending(
    rule: AddressRule = LOOPBACK, secret: str | None = None, *, timeout: float = 10, clock: ManualClock | None = None
) -> AsyncIterator[CallbackSender]:
    async with guarded_session(
        rule, user_agent="secondunit/1", timeout=ClientTimeout(total=60), decompress=False, open_socket=only_loopback
    ) as session:
        yield CallbackSender(session, clock or ManualClock(NOW), signer(secret), timedelta(seconds=timeout))


def only_loopback(info: AddrInfo) -> socket.socket:
    assert info[4][0].startswith("127."), "no packet leaves this machine"
    return socket.socket(info[0], info[1], info[2])


def notice(url: str, **fields: Any) -> Notice:
    made = Notice(
        target=Target("callback", url),
        job_id="job_1",
        job_type="thumbnail",
        status=Status.COMPLETED,
        epoch=7,
        at=NOW,
        result={"outputPath": "/media/ä.jpg"},
        error=None,
        duration=timedelta(seconds=1, microseconds=234_567),
        source="api",
        labels={},
    )
    return replace(made, **fields)


def delivery(url: str, **fields: Any) -> Delivery:
    return Delivery("job_1-1", notice(url, **fields), "pending", 0, NOW, NOW)


async def sent_to(answer: Answer, **options: Any) -> Sent:
    async with serving(answer) as url, sending(**options) as sender:
        return await sender.send(delivery(url))


def test_the_body_says_what_became_of_the_job() -> None:
    assert callback_body(notice("http://x/")) == {
        "jobId": "job_1",
        "type": "thumbnail",
        "status": "completed",
        "result": {"outputPath": "/media/ä.jpg"},
        "error": None,
        "duration": 1234,
    }


def test_the_body_of_a_failed_job_carries_its_error_and_a_job_that_never_ran_has_no_duration() -> None:
    error = JobError("deterministic", "source_missing", "no such file")
    body = callback_body(notice("http://x/", status=Status.FAILED, result=None, error=error, duration=None))
    assert body["error"] == {"class": "deterministic", "type": "source_missing", "message": "no such file"}
    assert body["result"] is None and body["duration"] is None
    assert callback_body(notice("http://x/", duration=timedelta()))["duration"] == 0


async def test_a_receiver_gets_the_body_with_the_headers_of_the_contract() -> None:
    receiver = Receiver(204)
    assert await sent_to(receiver.answer) == Delivered(204)
    [(headers, body)] = receiver.got
    assert receiver.paths == ["POST /hook"]
    assert json.loads(body) == callback_body(notice("http://x/"))
    assert headers["Content-Type"] == "application/json"
    assert headers["webhook-id"] == "job_1-1"
    assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert headers["Secondunit-Epoch"] == "7"
    assert headers["User-Agent"] == "secondunit/1"
    assert "webhook-signature" not in headers


@pytest.mark.parametrize("secret", [SECRET, "a passphrase of one's own ü"])
async def test_a_receiver_with_the_secret_can_verify_the_signature(secret: str) -> None:
    receiver = Receiver(200)
    await sent_to(receiver.answer, secret=secret)
    [(headers, body)] = receiver.got
    check = Webhook(secret if secret.startswith("whsec_") else secret.encode())
    assert check.verify(body, headers) == json.loads(body)
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        check.verify(body.replace(b"completed", b"cancelled"), headers)
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(b"another secret").verify(body, headers)
    again = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        check.verify(body, again)


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


# With the loop


class Loop:
    """A deliverer that sends real callbacks, on a clock that stands still; `tried` waits for the next try."""

    def __init__(self, sender: CallbackSender, clock: ManualClock, outbox: MemoryOutbox) -> None:
        self.clock = clock
        self.outbox = outbox
        tries: asyncio.Queue[str] = asyncio.Queue()
        self._tries = tries
        self.deliverer = Deliverer(
            outbox,
            {"callback": sender},
            clock,
            NoJitter(),
            emit=self._hear,
        )

    def _hear(self, fact: Fact) -> None:
        assert isinstance(fact, DeliveryTried)
        self._tries.put_nowait(fact.outcome)

    async def tried(self) -> str:
        async with asyncio.timeout(30):
            return await self._tries.get()

    async def only(self) -> Delivery:
        [row] = await self.outbox.of_job("job_1")
        return row


@asynccontextmanager
async def looping(rule: AddressRule = LOOPBACK, outbox: MemoryOutbox | None = None) -> AsyncIterator[Loop]:
    clock = ManualClock(NOW)
    async with sending(rule, SECRET, clock=clock) as sender:
        loop = Loop(sender, clock, outbox or MemoryOutbox())
        task = asyncio.create_task(loop.deliverer.run())
        try:
            yield loop
        finally:
            loop.deliverer.stop()
            await task


async def test_a_callback_that_failed_twice_arrives_under_its_first_id_and_is_signed_anew() -> None:
    receiver = Receiver(500, 302, 200)
    async with serving(receiver.answer) as url, looping() as loop:
        loop.outbox.add(notice(url))
        loop.deliverer.wake()
        assert await loop.tried() == "later"
        await loop.clock.advance(1)
        assert await loop.tried() == "later"
        await loop.clock.advance(2)
        assert await loop.tried() == "delivered"
        assert (await loop.only()).attempts == 3
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {"job_1-1"}
    stamps = [int(headers["webhook-timestamp"]) for headers, _ in receiver.got]
    assert stamps[2] - stamps[0] == 3
    for headers, body in receiver.got:
        Webhook(SECRET).verify(body, headers)


async def test_a_hanging_receiver_does_not_delay_another() -> None:
    async def hang(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    receiver = Receiver(200)
    outbox = MemoryOutbox()
    async with serving(hang) as slow, serving(receiver.answer) as quick, sending(timeout=60) as sender:
        loop = Loop(sender, ManualClock(NOW), outbox)
        task = asyncio.create_task(loop.deliverer.run())
        for n in range(20):
            outbox.add(notice(slow, job_id=f"slow_{n}"))
        outbox.add(notice(quick))
        loop.deliverer.wake()
        assert await loop.tried() == "delivered"
        assert (await loop.only()).state == "delivered"
        task.cancel()
        await asyncio.wait({task})


async def test_a_callback_to_a_refused_address_waits_visibly_and_dies_after_a_day() -> None:
    async with looping(AddressRule()) as loop:
        loop.outbox.add(notice("http://127.0.0.1:9/"))
        loop.deliverer.wake()
        assert await loop.tried() == "later"
        waiting = await loop.only()
        assert waiting.state == "pending" and "ALLOW_PRIVATE_ADDRESSES" in (waiting.last_error or "")
        await loop.outbox.change("job_1-1", lambda row: replace(row, next_at=NOW + timedelta(days=1)))
        loop.deliverer.wake()
        await loop.clock.advance(timedelta(days=1).total_seconds())
        assert await loop.tried() == "dead"
        assert (await loop.only()).state == "dead"


@pytest.mark.parametrize("labels", [{}, {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}])
async def test_a_receiver_gets_the_submitters_trace_if_there_is_one(labels: dict[str, str]) -> None:
    receiver = Receiver(200)
    async with serving(receiver.answer) as url, sending() as sender:
        await sender.send(delivery(url, labels=labels))
    [(headers, _)] = receiver.got
    assert headers.get("traceparent") == labels.get("traceparent")
