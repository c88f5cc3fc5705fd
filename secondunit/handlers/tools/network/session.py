"""Guarded HTTP client: a session that judges every address it is about to connect to, redirects included."""

import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Network, IPv6Network

from aiohttp import ClientConnectorError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from multidict import CIMultiDict
from yarl import URL

from secondunit.handlers.tools.network.addresses import AddressRule, is_readable, url_fault
from secondunit.handlers.tools.network.certificates import trusting
from secondunit.handlers.tools.network.connection_errors import refusal
from secondunit.handlers.tools.network.resolver import AddrInfo, JudgingResolver, Lookup
from secondunit.handlers.tools.network.responses import BoundedResponse
from secondunit.queue.outcome import Deterministic

MOST_REDIRECTS = 5
LONGEST_DATE = 64  # characters
LONGEST_RETRY_AFTER = timedelta(days=7)
REDIRECTS = frozenset({301, 302, 303, 307, 308})
# What may follow a redirect to another origin; any other header may be a credential, whatever it is called.
HARMLESS = frozenset({"accept", "accept-encoding", "accept-language", "if-range", "range", "referer", "user-agent"})
# Finds the same fault in a URL as any other rule does, unless it is the address.
ANYWHERE = AddressRule((IPv4Network("0.0.0.0/0"), IPv6Network("::/0")))

OpenSocket = Callable[[AddrInfo], socket.socket]


def guarded_session(
    rule: AddressRule,
    *,
    user_agent: str,
    timeout: ClientTimeout,
    connections: int = 100,
    decompress: bool = True,
    lookup: Lookup | None = None,
    open_socket: OpenSocket | None = None,
) -> ClientSession:
    """A session that reaches only what `rule` allows, keeps no cookies and obeys no proxy settings.

    Every socket's address is judged as it is opened, literals included, which never meet the resolver; a name is
    looked up once per connect, refused if any of its addresses is, and connected to by address. The caller closes it.
    """
    opener = open_socket or _open_socket

    def judged(info: AddrInfo) -> socket.socket:
        address = str(info[4][0])
        rule.admit(address, address)
        return opener(info)

    connector = TCPConnector(
        resolver=JudgingResolver(rule, lookup),
        use_dns_cache=False,
        socket_factory=judged,
        limit=connections,
    )
    return ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        headers={"User-Agent": user_agent},
        timeout=timeout,
        trust_env=False,
        auto_decompress=decompress,
        response_class=BoundedResponse,
        middlewares=(trusting,),
    )


@asynccontextmanager
async def open_following(
    session: ClientSession, url: str, rule: AddressRule, headers: Mapping[str, str] | None = None
) -> AsyncIterator[ClientResponse]:
    """GET `url` through at most five redirects, each judged; on a new origin only harmless headers go along.

    Raises Deterministic("egress_denied" | "bad_redirect" | "too_many_redirects"); aiohttp's errors come through.
    """
    here, sent = URL(url), CIMultiDict(headers or {})
    for _ in range(MOST_REDIRECTS + 1):
        async with _get(session, here, sent) as response:
            location = response.headers.get("Location")
            if response.status not in REDIRECTS or location is None:
                yield response
                return
        there = _redirected(here, location, rule)
        if there.origin() != here.origin():
            sent = CIMultiDict({name: value for name, value in sent.items() if name.lower() in HARMLESS})
        here = there
    raise Deterministic(f"{url} redirects more than {MOST_REDIRECTS} times", type="too_many_redirects")


def retry_after(response: ClientResponse, now: datetime) -> timedelta | None:
    """How long the server asked to wait, at most a week; None if it did not."""
    return wait_asked(response.headers.get("Retry-After", ""), now)


def wait_asked(value: str, now: datetime) -> timedelta | None:
    """What a Retry-After asks for (RFC 9110, seconds or a date), at most a week; None if it makes no sense."""
    value = value[:LONGEST_DATE].strip()
    if value.isascii() and value.isdigit():
        return min(timedelta(seconds=int(value[:9])), LONGEST_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the year 10**20
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return min(max(date - now, timedelta()), LONGEST_RETRY_AFTER)


@asynccontextmanager
async def _get(session: ClientSession, url: URL, headers: CIMultiDict[str]) -> AsyncIterator[ClientResponse]:
    try:
        response = await session.get(url, headers=headers, allow_redirects=False)
    except ClientConnectorError as error:
        refused = refusal(error)
        if refused is None:
            raise
        raise Deterministic(str(refused), type="egress_denied") from error
    async with response:
        yield response


def _redirected(here: URL, location: str, rule: AddressRule) -> URL:
    if not is_readable(location):
        raise Deterministic(f"{here} redirects to what is not a URL", type="bad_redirect")
    try:
        there = here.join(URL(location))
    except ValueError:
        raise Deterministic(f"{here} redirects to what is not a URL", type="bad_redirect") from None
    fault = url_fault(str(there), rule)
    if fault is not None:
        word = "bad_redirect" if fault == url_fault(str(there), ANYWHERE) else "egress_denied"
        raise Deterministic(f"{here} redirects to a URL that is refused: {fault}", type=word)
    return there


def _open_socket(info: AddrInfo) -> socket.socket:
    family, kind, protocol, _, _ = info
    return socket.socket(family, kind, protocol)
