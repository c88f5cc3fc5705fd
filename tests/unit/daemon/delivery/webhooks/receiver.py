"""A receiver of callbacks on a real loopback socket, and what is sent to it."""

import base64
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, tzinfo
from ipaddress import ip_network
from typing import Any

from aiohttp import ClientTimeout, web
from aiohttp.test_utils import TestServer

from secondunit.daemon.delivery.policy import Sent
from secondunit.daemon.delivery.webhooks import CallbackSender, signer
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.handlers.tools.network.resolver import AddrInfo
from secondunit.handlers.tools.network.session import guarded_session
from secondunit.queue.model import Notice, Status, Target
from secondunit.queue.store import Delivery
from secondunit.queue.value import replace
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import NOW

LOOPBACK = AddressRule((ip_network("127.0.0.0/8"),))
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class OfTheReceiver(datetime):
    """The clock by which a receiver judges how old a signature is."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "OfTheReceiver":
        return cls.fromtimestamp(NOW.timestamp(), tz)


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
