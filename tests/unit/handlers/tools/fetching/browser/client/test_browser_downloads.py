"""The real Chromium against a local site: what a page downloads or plays comes, and what it does not is explained."""

import asyncio
import hashlib
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import web

from secondunit.handlers.tools.fetching.download_router import Downloads
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.testing.fakes.website import Site
from secondunit.testing.handler_kit import FakeContext
from tests.unit.handlers.tools.fetching.browser.client.scene import (
    FILM,
    HERE,
    NEEDS_A_BROWSER,
    failing,
    get,
    page,
    saved,
)

pytestmark = NEEDS_A_BROWSER


async def test_a_download_that_a_doorman_s_script_starts_after_a_while_comes_by_plain_http(
    site: Site, downloads: Downloads, ctx: FakeContext
) -> None:
    async def guarded(request: web.Request) -> web.StreamResponse:
        welcome = request.cookies == {"a": "b", "c": "d", "pass": "seen"}
        return web.Response(status=200 if welcome else 403, body=FILM, content_type="application/octet-stream")

    script = "document.cookie = 'pass=seen; path=/'; setTimeout(() => { location.href = '/guarded' }, 500)"
    site.routes["/guarded"] = guarded
    site.says("/watch/page", 403, text=f"<script>{script}</script>", kind="text/html")
    got = await get(downloads, ctx, site.url("/watch/page"), cookies="a=b; c=d")
    assert got.path.read_bytes() == FILM and got.path.parent == ctx.workspace.kept
    assert (got.url, got.sha256) == (site.url("/guarded"), hashlib.sha256(FILM).hexdigest())
    plain = site.requests[-1]
    assert plain.headers["Referer"] == site.url("/watch/page")
    assert "Chrome" in plain.headers["User-Agent"]
    assert ctx.reports[-1].fraction == 1.0
    # The plain way had all of the cookies: the browser was not asked for the file itself.
    assert [request.path for request in site.requests].count("/watch/page") == 1


@pytest.mark.long
async def test_a_link_that_opens_an_attachment_in_a_window_is_followed(
    site: Site, downloads: Downloads, ctx: FakeContext
) -> None:
    text = "01:02 a text that is no page" * 100
    site.says("/file", text=text, Content_Disposition='attachment; filename="film.mp4"')
    url = page(site, "document.querySelector('a').click()", '<a href="/file" target="_blank">get it</a>')
    assert (await get(downloads, ctx, url)).path.read_text() == text


@pytest.mark.long
async def test_the_page_may_be_the_file_itself(site: Site, downloads: Downloads, ctx: FakeContext) -> None:
    saved(site)
    assert (await get(downloads, ctx, site.url("/film"))).path.read_bytes() == FILM


@pytest.mark.long
async def test_a_file_that_only_the_page_has_is_taken_from_the_browser(
    site: Site, downloads: Downloads, ctx: FakeContext
) -> None:
    script = """
      const link = document.createElement('a');
      link.href = URL.createObjectURL(new Blob(['film '.repeat(1000)]));
      link.download = 'the film.mp4';
      link.click();
    """
    got = await get(downloads, ctx, page(site, script))
    assert got.path.read_text() == "film " * 1000 and got.content_type == "video/mp4"
    assert got.url == site.url("/page") and got.path.parent == ctx.workspace.kept


@pytest.mark.long
async def test_the_answer_to_a_form_is_taken_from_the_browser(
    site: Site, downloads: Downloads, ctx: FakeContext
) -> None:
    saved(site, "/form")
    got = await get(
        downloads, ctx, page(site, "document.forms[0].submit()", '<form method="post" action="/form"></form>')
    )
    assert got.path.read_bytes() == FILM
    assert [request.method for request in site.requests if request.path == "/form"] == ["POST"]


@pytest.mark.media
@pytest.mark.parametrize("waits", [2.5])
async def test_a_film_that_the_page_plays_comes(
    site: Site, downloads: Downloads, ctx: FakeContext, film: bytes
) -> None:
    site.file("/clip.mp4", film)
    got = await get(downloads, ctx, page(site, body='<video preload="none"><source src="/clip.mp4"></video>'))
    assert got.path.read_bytes() == film and got.content_type == "video/mp4"


@pytest.mark.media
@pytest.mark.parametrize("waits", [2.5])
async def test_a_stream_that_the_page_plays_becomes_one_file(
    site: Site, downloads: Downloads, ctx: FakeContext, clip: Path
) -> None:
    for file in clip.parent.iterdir():
        kind = "application/vnd.apple.mpegurl" if file.suffix == ".m3u8" else "video/mp2t"
        site.file(f"/{file.name}", file.read_bytes(), kind=kind)
    url = page(site, "fetch('/clip.m3u8').then(() => fetch('/clip0.ts'))")
    got = await get(downloads, ctx, url)
    assert got.path.read_bytes()[4:8] == b"ftyp" and got.path.suffix == ".mp4"
    assert site.requests[-1].headers["Referer"] == url


@pytest.mark.parametrize("waits", [0.5])
async def test_a_page_that_offers_nothing_says_so_and_the_browser_asks_for_nothing_of_its_own(
    site: Site, downloads: Downloads, ctx: FakeContext, asked: list[str]
) -> None:
    error = await failing(downloads, ctx, page(site, body="<p>only words</p>"))
    assert isinstance(error, Deterministic) and error.type == "nothing_to_download"
    assert set(asked) == {HERE}


@pytest.mark.long
@pytest.mark.parametrize("waits", [0.5])
async def test_a_refusal_that_leads_nowhere_stays_one(site: Site, downloads: Downloads, ctx: FakeContext) -> None:
    site.says("/page", 403, text="<p>no</p>", kind="text/html")
    error = await failing(downloads, ctx, site.url("/page"))
    assert isinstance(error, Deterministic) and error.type == "forbidden"


@pytest.mark.long
async def test_an_endless_body_is_cut_off(site: Site, downloads: Downloads, ctx: FakeContext) -> None:
    async def body(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        while True:
            await response.write(b"\0" * 65536)
            await asyncio.sleep(0.001)

    site.routes["/endless"] = body
    url = page(site, "document.forms[0].submit()", '<form method="post" action="/endless"></form>')
    error = await failing(downloads, ctx, url, most_bytes=2 << 20)
    assert isinstance(error, Deterministic) and error.type == "too_large"


@pytest.mark.long
async def test_a_download_that_stands_still_is_tried_again_later(
    site: Site, downloads: Downloads, ctx: FakeContext
) -> None:
    async def stuck(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        await response.write(b"\0" * 65536)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 30)
        return response

    site.routes["/stuck"] = stuck
    url = page(site, "document.forms[0].submit()", '<form method="post" action="/stuck"></form>')
    error = await failing(downloads, ctx, url)
    assert isinstance(error, Transient) and error.type == "stalled"
