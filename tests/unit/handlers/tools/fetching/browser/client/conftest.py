"""A browser, the proxy that is its only way out, and the sites on both sides of what it may reach.

Each test has a network of its own, so that no packet of a browser that went astray could leave this machine.
"""

import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from ipaddress import ip_network

import pytest
from aiohttp import ClientTimeout

from secondunit.handlers.tools.fetching.browser.client import Browser, BrowserTimeouts, Chromium
from secondunit.handlers.tools.fetching.download_router import Downloads
from secondunit.handlers.tools.fetching.http_download import Transfer
from secondunit.handlers.tools.fetching.ytdlp.client import YtDlp
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.handlers.tools.network.proxy import Egress
from secondunit.handlers.tools.network.resolver import AddrInfo
from secondunit.handlers.tools.network.session import guarded_session
from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.handlers.tools.programs.sandbox.measuring import available
from secondunit.testing.clock import ManualClock
from secondunit.testing.fakes.website import Site, serving
from tests.unit.handlers.tools.fetching.browser.client.quarantine import quarantine
from tests.unit.handlers.tools.fetching.browser.client.scene import ELSEWHERE, FOUND, HERE

ONLY_HERE = AddressRule((ip_network(f"{HERE}/32"),))


@pytest.fixture(autouse=True)
def _network() -> Iterator[None]:
    with quarantine():
        yield


@pytest.fixture
async def site(_network: None) -> AsyncIterator[Site]:
    async with serving(HERE) as site:
        yield site


@pytest.fixture
async def canary(_network: None) -> AsyncIterator[Site]:
    """At an address that is not allowed; no test may see a request here."""
    async with serving(ELSEWHERE) as canary:
        yield canary
        assert canary.requests == []


@pytest.fixture
def asked() -> list[str]:
    """The names that were looked up for the browser."""
    return []


@pytest.fixture
async def egress(asked: list[str]) -> AsyncIterator[Egress]:
    def lookup(host: str, port: int, family: int) -> Sequence[AddrInfo]:
        asked.append(host)
        return socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)

    async with Egress(ONLY_HERE, lookup=lookup) as egress:
        yield egress


@pytest.fixture
def waits() -> float:
    """How many seconds a page is waited for, which a download ends; tests without one override this."""
    return 20


@pytest.fixture
def browser(egress: Egress, clock: ManualClock, waits: float) -> Browser:
    assert isinstance(FOUND, Chromium)
    timeouts = BrowserTimeouts(opens=30, waits=waits, silence=1)
    return Browser(ProcessRunner(sys.executable, sandbox=available()), egress, clock, FOUND, sys.executable, timeouts)


@pytest.fixture
async def downloads(browser: Browser, ytdlp: YtDlp, clock: ManualClock, asked: list[str]) -> AsyncIterator[Downloads]:
    async with guarded_session(ONLY_HERE, user_agent="test/1", timeout=ClientTimeout(sock_read=10)) as session:
        yield Downloads(ONLY_HERE, Transfer(session, ONLY_HERE, clock), ytdlp, browser)
