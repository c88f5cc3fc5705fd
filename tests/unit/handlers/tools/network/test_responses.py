"""Answers of servers that the operator chose, and of those that others chose: read within bounds, whatever they say."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import ClientError, ClientSession, web

from secondunit.handlers.tools.network.addresses import AddressRule, is_readable, url_fault
from secondunit.handlers.tools.network.media_types import media_type
from secondunit.handlers.tools.network.responses import MOST, BodyTooLarge, bounded_session
from secondunit.handlers.tools.network.session import LONGEST_RETRY_AFTER, wait_asked
from secondunit.testing.fakes.website import Site, serving
from tests.arch.redos import limited

NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving() as site:
        yield site


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with bounded_session() as session:
        yield session


async def test_a_body_without_an_end_is_not_read_to_it(site: Site, session: ClientSession) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(1 << 16))
            sent += 1 << 16
            await asyncio.sleep(0)

    site.routes["/"] = endless
    async with session.get(site.url("/")) as response:
        with pytest.raises(BodyTooLarge, match="more than 4 MiB"):
            await response.json()
    assert issubclass(BodyTooLarge, ClientError), "it is handled as any trouble with a server is"
    assert MOST < sent < 8 * MOST


@pytest.mark.parametrize("charset", ["punycode", "idna", "utf-7", "utf-16", "unicode_escape"])
async def test_text_is_utf_8_whatever_it_is_said_to_be(site: Site, session: ClientSession, charset: str) -> None:
    async def named(_: web.Request) -> web.Response:
        return web.Response(
            body='{"a": "é-a"}'.encode(), headers={"Content-Type": f"application/json; charset={charset}"}
        )

    site.routes["/"] = named
    async with session.get(site.url("/")) as response:
        assert await response.json() == {"a": "é-a"}


@pytest.mark.parametrize("piece", ['"', ";", "a=b;", '";', "\\", "(", "*0="])
async def test_a_hostile_content_type_takes_no_time(site: Site, session: ClientSession, piece: str) -> None:
    async def hostile(_: web.Request) -> web.Response:
        return web.Response(headers={"Content-Type": ("text/html;a" + piece * 8000)[:8000]})

    site.routes["/"] = hostile
    async with session.get(site.url("/")) as response:
        with limited(0.3):
            assert (response.content_type, response.charset) == ("text/html", None)


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("text/HTML; charset=utf-8", "text/html"),
        (" application/json ", "application/json"),
        ("application/problem+json;a=b", "application/problem+json"),
        ("", "application/octet-stream"),
        ("text", "application/octet-stream"),
        ("text/", "application/octet-stream"),
        ("a b/c", "application/octet-stream"),
        ("text/h\xe9", "application/octet-stream"),
        ("x" * 9000 + "/y", "application/octet-stream"),
    ],
)
def test_a_media_type_is_what_stands_before_its_parameters(header: str, kind: str) -> None:
    assert media_type(header) == kind


@pytest.mark.parametrize(
    "value",
    [
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2030 00:00:00 +99999999999999",
        "Mon, 01 Jan 2030 99999999999:00:00 GMT",
        "Mon, " + "9" * 5000,
        "١٢",
        "-1",
        "nan",
        "",
    ],
)
def test_a_wait_that_makes_no_sense_is_none(value: str) -> None:
    assert wait_asked(value, NOW) is None


def test_a_wait_has_its_longest() -> None:
    assert wait_asked("9" * 5000, NOW) == LONGEST_RETRY_AFTER
    assert wait_asked("120", NOW) == timedelta(minutes=2)


@pytest.mark.parametrize(
    "url",
    ["http://" + "é" * 8000, "http://" + "a." * 4000, "http://" + "é" * 8000 + "/x", "//" + "١" * 8000, "x" * 9000],
)
def test_a_host_without_an_end_is_not_taken_apart(url: str) -> None:
    with limited(0.2):
        assert not is_readable(url)
        assert url_fault(url, AddressRule()) is not None


@pytest.mark.parametrize("url", ["https://video.example/" + "a" * 8000, "/x?" + "y" * 8000, "http://[::1]:80/", "a"])
def test_a_long_path_is_no_reason(url: str) -> None:
    assert is_readable(url)
