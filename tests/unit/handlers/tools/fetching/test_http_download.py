import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from secondunit.handlers.tools.fetching.http_download import Transfer, TransferWish
from secondunit.queue.instrumentation import Fact, PieceDone, follow_run
from secondunit.queue.outcome import Transient
from secondunit.testing.clock import ManualClock
from secondunit.testing.fakes.website import Site
from secondunit.testing.handler_kit import FakeContext
from secondunit.testing.jobs import new
from tests.unit.handlers.tools.fetching.films import FILM, MOST, failing, until


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
