"""What the browser finds: which files are taken, refused, asked for with which headers."""

from typing import Any

import pytest

from secondunit.handlers.tools.fetching.browser.client import (
    PageWish,
)
from secondunit.handlers.tools.fetching.download_router import Downloads, DownloadWish
from secondunit.handlers.tools.fetching.http_download import Transfer
from secondunit.handlers.tools.fetching.ytdlp.client import YtDlp
from secondunit.handlers.tools.network.proxy import Egress
from secondunit.queue.outcome import Deterministic
from secondunit.testing.fakes.website import Site
from secondunit.testing.handler_kit import FakeContext
from tests.unit.handlers.tools.fetching.browser.fake_child import MOST, TRAIL, FakeChild, browser

NOTHING = {"fault": {"type": "nothing", "message": ""}}


async def test_the_child_is_told_the_origin_as_browsers_write_it(egress: Egress, ctx: FakeContext) -> None:
    child = FakeChild(TRAIL)
    await browser(child, egress).look(PageWish("HTTPS://Sit\u00e9.Example:443/a/b?c", MOST), ctx)
    assert child.told[0]["origin"] == "https://xn--sit-dma.example"


@pytest.fixture
async def looking(transfer: Transfer, ytdlp: YtDlp, egress: Egress) -> Any:
    def looking(*lines: Any) -> tuple[Downloads, FakeChild]:
        child = FakeChild(*lines)
        return Downloads(transfer._rule, transfer, ytdlp, browser(child, egress)), child

    return looking


async def test_a_page_under_a_media_name_is_refused_from_the_browser_too(looking: Any, ctx: FakeContext) -> None:
    downloads, _ = looking({"caught": {"name": "download", "url": "http://127.0.0.1/"}, "content": b"<html></html>"})
    with pytest.raises(Deterministic) as caught:
        await downloads.get(DownloadWish("http://127.0.0.1/", MOST, ".mp4", "browser"), ctx)
    assert caught.value.type == "not_media"


async def test_a_file_that_neither_is_given_is_refused_as_plain_http_was(
    looking: Any, ctx: FakeContext, site: Site
) -> None:
    site.says("/f", 403)
    downloads, child = looking({"lead": {"url": site.url("/f"), "stream": False, "headers": {}}})
    with pytest.raises(Deterministic) as caught:
        await downloads.get(DownloadWish(site.url("/"), MOST, ".mp4", "browser"), ctx)
    assert caught.value.type == "forbidden" and [told["own"] for told in child.told] == [False, True]


async def test_a_link_that_works_once_is_taken_from_the_browser(looking: Any, ctx: FakeContext, site: Site) -> None:
    site.says("/once", 403)
    downloads, child = looking({"lead": {"url": site.url("/once"), "stream": False, "headers": {}}})
    child.again = [{"caught": {"name": "download.mp4", "url": site.url("/once")}, "content": b"film" * 100}]
    got = await downloads.get(DownloadWish(site.url("/"), MOST, ".mp4", "browser"), ctx)
    assert got.path.read_bytes() == b"film" * 100 and got.path.parent == ctx.workspace.kept
    assert [told["own"] for told in child.told] == [False, True]


async def test_a_page_that_leads_to_a_url_with_a_password_is_refused(looking: Any, ctx: FakeContext) -> None:
    downloads, _ = looking({"lead": {"url": "http://user:s3cret@127.0.0.1/f", "stream": False, "headers": {}}})
    with pytest.raises(Deterministic, match="user name or password") as caught:
        await downloads.get(DownloadWish("http://127.0.0.1/", MOST, ".mp4", "browser"), ctx)
    assert caught.value.type == "bad_redirect" and "s3cret" not in str(caught.value)


async def test_auto_never_asks_the_browser(looking: Any, ctx: FakeContext, site: Site) -> None:
    site.file("/film.mp4", b"x" * 1000)
    downloads, child = looking(NOTHING)
    await downloads.get(DownloadWish(site.url("/film.mp4"), MOST, ".mp4", "auto"), ctx)
    assert child.told == []


async def test_headers_follow_to_a_file_of_their_own_origin_only(looking: Any, ctx: FakeContext, site: Site) -> None:
    site.file("/film.mp4", b"x" * 1000)
    found = {"User-Agent": "Chrome", "Referer": "http://page/", "Cookie": "from=browser"}
    downloads, _ = looking({"lead": {"url": site.url("/film.mp4"), "stream": False, "headers": found}})
    mine = {"x-key": "s3cret", "user-agent": "Mine"}
    await downloads.get(DownloadWish("http://127.0.0.1:1/", MOST, ".mp4", "browser", mine, "a=b"), ctx)
    sent = site.requests[-1].headers
    assert (sent["User-Agent"], sent["Cookie"], sent.get("X-Key")) == ("Chrome", "from=browser", None)
    await downloads.get(DownloadWish(site.url("/"), MOST, ".mp4", "browser", mine, "a=b"), await ctx.rerun())
    sent = site.requests[-1].headers
    assert (sent["User-Agent"], sent["Cookie"], sent["X-Key"]) == ("Mine", "from=browser", "s3cret")
