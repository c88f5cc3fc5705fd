"""Plain HTTP downloads: whole, resumed only where it is the same file, bounded, and clear about what went wrong."""

import asyncio
import gzip
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web
from yarl import URL

from secondunit.handlers.tools.fetching.http_download import PageInstead, Transfer, TransferWish
from secondunit.queue.instrumentation import Fact, PieceDone, follow_run
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.testing.clock import ManualClock
from secondunit.testing.fakes.website import Site
from secondunit.testing.handler_kit import FakeContext
from secondunit.testing.jobs import new

FILM = bytes(range(256)) * 4096  # 1 MiB
MOST = 10 << 20


async def failing(transfer: Transfer, wish: TransferWish, ctx: FakeContext) -> Transient | Deterministic:
    with pytest.raises((Transient, Deterministic)) as caught:
        await transfer.fetch(wish, ctx)
    assert isinstance(caught.value, Transient | Deterministic)
    return caught.value


async def test_a_file_comes_whole(site: Site, transfer: Transfer, ctx: FakeContext) -> None:
    site.file("/film.mp4", FILM)
    got = await transfer.fetch(TransferWish(site.url("/film.mp4"), MOST, media=True), ctx)
    assert got.path.read_bytes() == FILM
    assert (got.size, got.content_type, got.resumed) == (len(FILM), "video/mp4", False)
    assert ctx.reports[-1].fraction == 1.0 and "1.0 MB of 1.0 MB" in ctx.reports[-1].message


async def test_a_followed_run_tells_of_a_request_its_host_and_status_alone(
    site: Site, transfer: Transfer, ctx: FakeContext
) -> None:
    facts = list[Fact]()
    follow_run(new("a").job, ManualClock(), facts.append)
    site.file("/film.mp4", FILM)
    await transfer.fetch(TransferWish(site.url("/film.mp4?token=hunter2"), MOST, media=True), ctx)
    [fact] = facts
    assert isinstance(fact, PieceDone) and (fact.kind, fact.name, fact.fault) == ("call", "http", None)
    assert fact.figures == {"host": URL(site.url("/")).host, "status": 200}


async def test_after_a_cut_only_the_rest_is_fetched(site: Site, transfer: Transfer, ctx: FakeContext) -> None:
    film, wish = site.file("/film.mp4", FILM), TransferWish(site.url("/film.mp4"), MOST)
    film.cut = 600_000
    error = await failing(transfer, wish, ctx)
    assert isinstance(error, Transient) and error.type == "incomplete_body"
    got = await transfer.fetch(wish, await ctx.rerun())
    assert got.path.read_bytes() == FILM and got.resumed
    assert site.sent == len(FILM)
    assert site.requests[-1].headers["If-Range"] == '"v1"'


async def test_a_file_that_changed_in_between_comes_fresh(site: Site, transfer: Transfer, ctx: FakeContext) -> None:
    film, wish = site.file("/film.mp4", FILM), TransferWish(site.url("/film.mp4"), MOST)
    film.cut = 600_000
    await failing(transfer, wish, ctx)
    film.content, film.etag = FILM[::-1] + b"more", '"v2"'
    got = await transfer.fetch(wish, await ctx.rerun())
    assert got.path.read_bytes() == FILM[::-1] + b"more" and not got.resumed


async def test_a_server_that_ignores_if_range_is_found_out(site: Site, transfer: Transfer, ctx: FakeContext) -> None:
    film, wish = site.file("/film.mp4", FILM), TransferWish(site.url("/film.mp4"), MOST)
    film.cut = 600_000
    await failing(transfer, wish, ctx)
    other = FILM[::-1]

    async def careless(request: web.Request) -> web.Response:
        if "Range" not in request.headers:
            return web.Response(body=other, headers={"ETag": '"v2"'})
        start = int(request.headers["Range"][6:-1])
        length = f"bytes {start}-{len(other) - 1}/{len(other)}"
        return web.Response(status=206, body=other[start:], headers={"ETag": '"v2"', "Content-Range": length})

    site.routes["/film.mp4"] = careless
    got = await transfer.fetch(wish, await ctx.rerun())
    assert got.path.read_bytes() == other and not got.resumed


@pytest.mark.parametrize("content_range", ["bytes 5-1048575/1048576", "bytes 600000-1048575/99", "nonsense", ""])
async def test_a_rest_that_is_another_part_is_not_appended(
    site: Site, transfer: Transfer, ctx: FakeContext, content_range: str
) -> None:
    film, wish = site.file("/film.mp4", FILM), TransferWish(site.url("/film.mp4"), MOST)
    film.cut = 600_000
    await failing(transfer, wish, ctx)

    async def wrong(request: web.Request) -> web.StreamResponse:
        if "Range" in request.headers:
            return web.Response(status=206, body=b"x" * 10, headers={"Content-Range": content_range})
        return await film(request)

    site.routes["/film.mp4"] = wrong
    got = await transfer.fetch(wish, await ctx.rerun())
    assert got.path.read_bytes() == FILM and not got.resumed


@pytest.mark.parametrize("etag", [None, 'W/"weak"', "unquoted"])
async def test_without_a_strong_etag_nothing_is_resumed(
    site: Site, transfer: Transfer, ctx: FakeContext, etag: str | None
) -> None:
    film, wish = site.file("/film.mp4", FILM, etag=etag), TransferWish(site.url("/film.mp4"), MOST)
    film.cut = 600_000
    await failing(transfer, wish, ctx)
    got = await transfer.fetch(wish, await ctx.rerun())
    assert got.path.read_bytes() == FILM and not got.resumed
    assert all("Range" not in request.headers for request in site.requests)


async def test_a_part_that_is_already_whole_is_taken(site: Site, transfer: Transfer, ctx: FakeContext) -> None:
    site.file("/film.mp4", FILM)
    wish = TransferWish(site.url("/film.mp4"), MOST)
    first = await transfer.fetch(wish, ctx)
    again = await transfer.fetch(wish, await ctx.rerun())
    assert (again.sha256, again.content_type, again.resumed) == (first.sha256, "video/mp4", True)
    assert site.sent == len(FILM)


async def test_a_part_of_another_url_or_life_of_the_machine_is_not_used(
    site: Site, transfer: Transfer, ctx: FakeContext
) -> None:
    film = site.file("/a.mp4", FILM)
    site.file("/b.mp4", FILM[::-1])
    film.cut = 600_000
    await failing(transfer, TransferWish(site.url("/a.mp4"), MOST), ctx)
    got = await transfer.fetch(TransferWish(site.url("/b.mp4"), MOST), await ctx.rerun())
    assert got.path.read_bytes() == FILM[::-1]
    film.cut = 600_000
    await failing(transfer, TransferWish(site.url("/a.mp4"), MOST), await ctx.rerun())
    note = ctx.workspace.kept / "transfer.json"
    note.write_text(note.read_text().replace('"boot": "', '"boot": "0'))
    got = await transfer.fetch(TransferWish(site.url("/a.mp4"), MOST), await ctx.rerun())
    assert got.path.read_bytes() == FILM and not got.resumed


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


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)


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


async def test_what_is_there_survives_a_kill(site: Site, transfer: Transfer, ctx: FakeContext, tmp_path: Path) -> None:
    film = site.file("/film.mp4", FILM)
    film.cut, film.hold = 600_000, asyncio.Event()
    fetching = asyncio.create_task(transfer.fetch(TransferWish(site.url("/film.mp4"), MOST), ctx))
    part = ctx.workspace.kept / "transfer.part"
    await until(lambda: part.exists() and part.stat().st_size == 600_000)
    fetching.cancel()
    await asyncio.wait([fetching])
    film.hold.set()
    got = await transfer.fetch(TransferWish(site.url("/film.mp4"), MOST), await ctx.rerun())
    assert got.resumed and site.sent == len(FILM)
