"""Plain HTTP downloads that go wrong: bounded, and clear about it."""

import asyncio
import gzip
import os
from datetime import timedelta
from types import SimpleNamespace

import pytest
from aiohttp import web

from secondunit.handlers.tools.fetching.http_download import PageInstead, Transfer, TransferWish
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.testing.clock import ManualClock
from secondunit.testing.fakes.website import Site
from secondunit.testing.handler_kit import FakeContext
from tests.unit.handlers.tools.fetching.films import FILM, MOST, failing, until


@pytest.mark.parametrize(
    ("status", "kind", "type"),
    [
        (401, Deterministic, "forbidden"),
        (403, Deterministic, "forbidden"),
        (404, Deterministic, "not_found"),
        (410, Deterministic, "not_found"),
        (451, Deterministic, "forbidden"),
        (418, Deterministic, "http_error"),
        (204, Deterministic, "http_error"),
        (408, Transient, "server_error"),
        (429, Transient, "rate_limited"),
        (500, Transient, "server_error"),
        (503, Transient, "server_error"),
    ],
)
async def test_a_status_says_whether_trying_again_can_help(
    site: Site, transfer: Transfer, ctx: FakeContext, status: int, kind: type[Exception], type: str
) -> None:
    site.says("/x.mp4", status)
    error = await failing(transfer, TransferWish(site.url("/x.mp4"), MOST), ctx)
    assert isinstance(error, kind) and error.type == type
    assert site.url("/x.mp4") in str(error)


async def test_the_wait_that_a_server_asks_for_is_passed_on(site: Site, transfer: Transfer, ctx: FakeContext) -> None:
    site.says("/x", 503, Retry_After="90")
    error = await failing(transfer, TransferWish(site.url("/x"), MOST), ctx)
    assert isinstance(error, Transient) and error.delay == timedelta(seconds=90)


async def test_a_file_announced_as_too_large_is_not_begun(site: Site, transfer: Transfer, ctx: FakeContext) -> None:
    site.file("/film.mp4", FILM)
    error = await failing(transfer, TransferWish(site.url("/film.mp4"), len(FILM) - 1), ctx)
    assert isinstance(error, Deterministic) and error.type == "too_large"
    assert (ctx.workspace.kept / "transfer.part").stat().st_size == 0


async def test_an_endless_body_is_cut_off(site: Site, transfer: Transfer, ctx: FakeContext) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"\0" * 65536)

    site.routes["/endless"] = endless
    error = await failing(transfer, TransferWish(site.url("/endless"), 1 << 20), ctx)
    assert error.type == "too_large"


async def test_a_bomb_is_counted_by_what_it_becomes(site: Site, transfer: Transfer, ctx: FakeContext) -> None:
    bomb = gzip.compress(b"\0" * (64 << 20))

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    site.routes["/bomb"] = answer
    error = await failing(transfer, TransferWish(site.url("/bomb"), 1 << 20), ctx)
    assert error.type == "too_large"
    assert (ctx.workspace.kept / "transfer.part").stat().st_size <= 1 << 20


async def test_a_compressed_file_is_saved_as_what_it_is(site: Site, transfer: Transfer, ctx: FakeContext) -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Accept-Encoding"] == "identity"
        return web.Response(body=gzip.compress(FILM), headers={"Content-Encoding": "gzip", "ETag": '"z"'})

    site.routes["/z"] = answer
    got = await transfer.fetch(TransferWish(site.url("/z"), MOST), ctx)
    assert got.path.read_bytes() == FILM


async def test_a_server_that_dribbles_is_left(
    site: Site, transfer: Transfer, ctx: FakeContext, clock: ManualClock
) -> None:
    async def dribble(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000000"})
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await clock.advance(29)
            await asyncio.sleep(0)

    site.routes["/slow"] = dribble
    error = await failing(transfer, TransferWish(site.url("/slow"), MOST), ctx)
    assert isinstance(error, Transient) and error.type == "too_slow"


async def test_a_disk_without_room_is_found_before_anything_is_fetched(
    site: Site, transfer: Transfer, ctx: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.file("/film.mp4", FILM)
    full = SimpleNamespace(f_bavail=100, f_frsize=4096)
    monkeypatch.setattr(os, "fstatvfs", lambda fd: full)
    with pytest.raises(OSError, match="no room"):
        await transfer.fetch(TransferWish(site.url("/film.mp4"), MOST), ctx)
    assert (ctx.workspace.kept / "transfer.part").stat().st_size == 0


async def test_room_is_reserved_before_the_first_byte(site: Site, transfer: Transfer, ctx: FakeContext) -> None:
    film = site.file("/film.mp4", b"\0" * (8 << 20))
    film.cut, film.hold = 1000, asyncio.Event()
    fetching = asyncio.create_task(transfer.fetch(TransferWish(site.url("/film.mp4"), MOST), ctx))
    part = ctx.workspace.kept / "transfer.part"
    await until(lambda: part.exists() and part.stat().st_size == 1000)
    assert part.stat().st_blocks * 512 >= 8 << 20
    film.hold.set()
    with pytest.raises(Transient):
        await fetching
    assert part.stat().st_blocks * 512 < 1 << 20


PAGE = "<!DOCTYPE html><html><body>not here</body></html>"
PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text/html", PAGE),
        ("video/mp4", "\n <!-- hi -->" + PAGE),
        ("application/vnd.apple.mpegurl", PLAYLIST),
        ("video/mp4", PLAYLIST),
    ],
)
async def test_a_page_or_a_playlist_is_not_saved_as_media(
    site: Site, transfer: Transfer, ctx: FakeContext, kind: str, text: str
) -> None:
    site.says("/x", text=text, kind=kind)
    with pytest.raises(PageInstead) as caught:
        await transfer.fetch(TransferWish(site.url("/x"), MOST, media=True), ctx)
    assert caught.value.type == "not_media"
    got = await transfer.fetch(TransferWish(site.url("/x"), MOST), await ctx.rerun())
    assert got.path.read_text() == text


async def test_a_redirect_to_a_private_address_is_refused(site: Site, transfer: Transfer, ctx: FakeContext) -> None:
    site.says("/away", 302, Location="http://169.254.169.254/latest/meta-data/")
    error = await failing(transfer, TransferWish(site.url("/away"), MOST), ctx)
    assert isinstance(error, Deterministic) and "ALLOW_PRIVATE_ADDRESSES" in str(error)


async def test_a_server_that_is_not_there_is_worth_another_try(transfer: Transfer, ctx: FakeContext) -> None:
    error = await failing(transfer, TransferWish("http://127.0.0.1:9/x", MOST), ctx)
    assert isinstance(error, Transient) and error.type == "connection_failed"
