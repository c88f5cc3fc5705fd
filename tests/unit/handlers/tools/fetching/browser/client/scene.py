"""The pages that tests show to a browser, and asking for what they lead to."""

import pytest

from secondunit.handlers.tools.fetching.browser.client import Chromium, find_chromium
from secondunit.handlers.tools.fetching.download_router import Downloads, DownloadWish
from secondunit.handlers.tools.fetching.http_download import Transferred
from secondunit.handlers.tools.programs.runner import SEARCH_PATH
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.testing.fakes.website import Site
from secondunit.testing.handler_kit import FakeContext
from tests.unit.handlers.tools.fetching.browser.client.quarantine import possible

FOUND = find_chromium(SEARCH_PATH)
NEEDS_A_BROWSER = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not isinstance(FOUND, Chromium), reason=f"no browser: {FOUND}"),
    pytest.mark.skipif(not possible(), reason="needs root and `ip`, for a network of its own"),
]
HERE, ELSEWHERE = "127.0.0.2", "127.0.0.3"
MOST = 20 << 20
FILM = bytes(range(256)) * 4096


def page(site: Site, script: str = "", body: str = "") -> str:
    """A page at /page; its URL."""
    site.says("/page", text=f"<html><body>{body}<script>{script}</script></body></html>", kind="text/html")
    return site.url("/page")


def saved(site: Site, path: str = "/film", content: bytes = FILM) -> None:
    """A file that browsers save."""
    site.file(path, content, kind="application/octet-stream")


async def get(downloads: Downloads, ctx: FakeContext, url: str, **wish: object) -> Transferred:
    told = DownloadWish(url, **{"most_bytes": MOST, "suffix": ".mp4", "way": "browser", **wish})  # type: ignore[arg-type]
    return await downloads.get(told, ctx)


async def failing(downloads: Downloads, ctx: FakeContext, url: str, **wish: object) -> Deterministic | Transient:
    with pytest.raises((Deterministic, Transient)) as caught:
        await get(downloads, ctx, url, **wish)
    assert isinstance(caught.value, Deterministic | Transient)
    return caught.value
