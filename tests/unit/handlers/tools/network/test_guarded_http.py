"""The guarded session: what is refused sends no packet, what is allowed arrives; redirects carry no secret away."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
from aiohttp import ClientConnectorError, ClientError, ClientTimeout, web
from aiohttp.test_utils import TestServer
from yarl import URL

from secondunit.handlers.tools.network.addresses import AddressRefused, AddressRule
from secondunit.handlers.tools.network.connection_errors import refusal
from secondunit.handlers.tools.network.resolver import AddrInfo
from secondunit.handlers.tools.network.session import guarded_session, open_following
from secondunit.queue.outcome import Deterministic

PUBLIC_ONLY = AddressRule()
LOOPBACK = AddressRule((ip_network("127.0.0.0/8"),))
SOON = ClientTimeout(total=10)


def resolvable(name: str) -> bool:
    """Whether this machine knows the name by itself; a bare Debian 12 that was never booted has no /etc/hosts."""
    try:
        return bool(socket.getaddrinfo(name, 80))
    except OSError:
        return False


class NoNetwork:
    """Opens no socket: records the address, and fails like a network that is down."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, info: AddrInfo) -> socket.socket:
        self.asked.append(info[4][0])
        raise OSError("no network in tests")


class Names:
    """A resolver's answers by name; each look-up of a name takes its next answer, the last one stays."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self._answers = {name: list(rounds) for name, rounds in answers.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, family: int) -> Sequence[AddrInfo]:
        self.asked.append(host)
        rounds = self._answers[host.partition(".")[0]]
        addresses = rounds.pop(0) if len(rounds) > 1 else rounds[0]
        return [_info(address, port) for address in addresses]


def _info(address: str, port: int) -> AddrInfo:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))


async def _refused(url: str, rule: AddressRule, names: Names | None = None) -> tuple[AddressRefused | None, list[str]]:
    network = NoNetwork()
    async with guarded_session(
        rule, user_agent="t", timeout=SOON, lookup=names or Names(), open_socket=network
    ) as session:
        with pytest.raises(ClientError) as caught:
            await session.get(url)
    return refusal(caught.value), network.asked


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:9/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "https://192.168.0.1/",
    ],
)
async def test_a_private_literal_opens_no_socket(url: str) -> None:
    refused, asked = await _refused(url, PUBLIC_ONLY)
    assert refused is not None and "ALLOW_PRIVATE_ADDRESSES" in str(refused)
    assert asked == []


async def test_a_literal_in_an_odd_spelling_opens_no_socket() -> None:
    for spelling in ("2130706433", "127.1", "017700000001", "0x7f.1"):
        _, asked = await _refused(f"http://{spelling}:9/", PUBLIC_ONLY, Names(**{"0x7f": [["127.0.0.1"]]}))
        assert asked == []


async def test_a_public_address_is_connected_to_by_the_address_that_was_judged() -> None:
    names = Names(cdn=[["93.184.215.14"], ["127.0.0.1"]])
    refused, asked = await _refused("http://cdn.example/", PUBLIC_ONLY, names)
    assert refused is None
    assert set(asked) == {"93.184.215.14"}
    assert names.asked == ["cdn.example"]


async def test_a_name_with_one_private_address_among_public_ones_is_refused_whole() -> None:
    names = Names(mixed=[["93.184.215.14", "2606:4700::1", "10.0.0.5"]])
    refused, asked = await _refused("http://mixed.example/", PUBLIC_ONLY, names)
    assert refused is not None
    assert (refused.host, refused.address) == ("mixed.example", "10.0.0.5")
    assert asked == []


async def test_a_name_that_is_rebound_is_judged_again_at_the_next_connect() -> None:
    names, network = Names(evil=[["93.184.215.14"], ["127.0.0.1"]]), NoNetwork()
    async with guarded_session(PUBLIC_ONLY, user_agent="t", timeout=SOON, lookup=names, open_socket=network) as session:
        with pytest.raises(ClientConnectorError) as first:
            await session.get("http://evil.example/")
        with pytest.raises(ClientConnectorError) as second:
            await session.get("http://evil.example/")
    assert refusal(first.value) is None
    assert refusal(second.value) is not None
    assert set(network.asked) == {"93.184.215.14"}


async def test_a_name_nobody_knows_fails_as_a_connect_does() -> None:
    def unknown(host: str, port: int, family: int) -> Sequence[AddrInfo]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    async with guarded_session(PUBLIC_ONLY, user_agent="t", timeout=SOON, lookup=unknown) as session:
        with pytest.raises(ClientConnectorError) as caught:
            await session.get("http://nowhere.example/")
    assert refusal(caught.value) is None


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def _serving(**routes: Handler) -> AsyncIterator[TestServer]:
    app = web.Application()
    for name, handler in routes.items():
        app.router.add_get(f"/{name}", handler)
    server = TestServer(app, host="127.0.0.1")
    async with server:
        yield server


async def test_an_allowed_loopback_server_is_reached_by_address_and_by_name() -> None:
    seen: list[web.Request] = []

    async def hello(request: web.Request) -> web.Response:
        seen.append(request)
        answer = web.Response(text="hello")
        answer.set_cookie("session", "1")
        return answer

    async with (
        _serving(hello=hello) as server,
        guarded_session(LOOPBACK, user_agent="agent/1", timeout=SOON, lookup=Names(nas=[["127.0.0.1"]])) as session,
    ):
        for host in ("127.0.0.1", "nas.example", "nas.example"):
            async with session.get(f"http://{host}:{server.port}/hello") as response:
                assert await response.text() == "hello"
    assert [request.headers["User-Agent"] for request in seen] == ["agent/1"] * 3
    assert all("Cookie" not in request.headers for request in seen)


@pytest.mark.skipif(not resolvable("localhost"), reason="THE RESOLVER IS NOT TESTED: no localhost in /etc/hosts")
async def test_the_systems_resolver_finds_an_allowed_localhost() -> None:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    async with (
        _serving(hello=hello) as server,
        guarded_session(LOOPBACK, user_agent="t", timeout=SOON) as session,
        session.get(f"http://localhost:{server.port}/hello") as response,
    ):
        assert response.status == 200


async def test_proxy_settings_of_the_environment_are_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    async with (
        _serving(hello=hello) as server,
        guarded_session(LOOPBACK, user_agent="t", timeout=SOON) as session,
        session.get(server.make_url("/hello")) as response,
    ):
        assert response.status == 200


def _redirect(to: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": to})

    return handler


async def test_a_redirect_is_followed_and_keeps_headers_within_its_origin() -> None:
    seen: list[web.Request] = []

    async def end(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(text="end")

    async with (
        _serving(start=_redirect("/end?x=1"), end=end) as server,
        guarded_session(LOOPBACK, user_agent="t", timeout=SOON) as session,
        open_following(session, str(server.make_url("/start")), LOOPBACK, {"Authorization": "Bearer x"}) as response,
    ):
        assert await response.text() == "end"
        assert response.url.path_qs == "/end?x=1"
    assert seen[0].headers["Authorization"] == "Bearer x"


async def test_credentials_of_any_name_stay_behind_when_the_origin_changes() -> None:
    seen: list[web.Request] = []

    async def end(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(text="end")

    given = {"Authorization": "a", "Cookie": "b=c", "X-Api-Key": "d", "Range": "bytes=0-", "Referer": "http://r/"}
    async with (
        _serving(end=end) as other,
        _serving(start=_redirect(str(other.make_url("/end")))) as server,
        guarded_session(LOOPBACK, user_agent="t", timeout=SOON) as session,
        open_following(session, str(server.make_url("/start")), LOOPBACK, given) as response,
    ):
        assert response.status == 200
    kept = seen[0].headers
    assert kept["Range"] == "bytes=0-" and kept["Referer"] == "http://r/"
    assert not {"Authorization", "Cookie", "X-Api-Key"} & set(kept)


async def _ends_with(target: str, lookup: Names | None = None) -> str:
    network: list[str] = []

    def only_loopback(info: AddrInfo) -> socket.socket:
        network.append(info[4][0])
        assert info[4][0] == "127.0.0.1"
        return socket.socket(info[0], info[1], info[2])

    async with (
        _serving(start=_redirect(target), loop=_redirect("/loop")) as server,
        guarded_session(
            LOOPBACK, user_agent="t", timeout=SOON, lookup=lookup or Names(), open_socket=only_loopback
        ) as session,
    ):
        with pytest.raises(Deterministic) as caught:
            async with open_following(session, str(server.make_url("/start")), LOOPBACK):
                pass
    assert set(network) == {"127.0.0.1"}
    return caught.value.type


async def test_a_redirect_to_where_nothing_may_go_is_refused() -> None:
    assert await _ends_with("http://10.0.0.1/") == "egress_denied"
    assert await _ends_with("http://167772161/") == "egress_denied"
    assert await _ends_with("http://[::ffff:169.254.169.254]/") == "egress_denied"
    assert await _ends_with("http://134744072/") == "bad_redirect"
    assert await _ends_with("file:///etc/passwd") == "bad_redirect"
    assert await _ends_with("http://user:pass@8.8.8.8/") == "bad_redirect"
    assert await _ends_with("http://inner.example/", Names(inner=[["10.0.0.1"]])) == "egress_denied"


async def test_endless_redirects_end() -> None:
    assert await _ends_with("/loop") == "too_many_redirects"


async def test_a_refused_first_address_is_a_denied_egress() -> None:
    async with guarded_session(PUBLIC_ONLY, user_agent="t", timeout=SOON) as session:
        with pytest.raises(Deterministic) as caught:
            async with open_following(session, str(URL("http://127.0.0.1:9/")), PUBLIC_ONLY):
                pass
    assert caught.value.type == "egress_denied"
