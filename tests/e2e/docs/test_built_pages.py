"""The built documentation, opened as files by a browser: nothing is loaded from elsewhere, nothing is missing."""

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import CHECKOUT

if TYPE_CHECKING:
    from playwright.async_api import Page

BUILT = CHECKOUT / "dist" / "docs"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WITHIN_MS = 20_000
LEFT = "net::ERR_ABORTED"  # what was still being fetched when the next page was opened
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="THE BUILT PAGES ARE NOT OPENED: no Chromium here"),
    pytest.mark.skipif(not BUILT.is_dir(), reason="THE BUILT PAGES ARE NOT OPENED: `make docs` builds them"),
]


def watched(page: "Page") -> list[str]:
    """What goes wrong on it from now on, and what it asks of others than files."""
    seen: list[str] = []

    def asked(request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            seen.append(request.url)

    def failed(request: Any) -> None:
        if request.failure != LEFT:
            seen.append(f"missing: {request.url} ({request.failure})")

    page.on("request", asked)
    page.on("requestfailed", failed)
    page.on("console", lambda said: seen.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: seen.append(str(error)))
    return seen


async def test_pages_open_as_files_and_the_search_finds_something() -> None:
    from playwright.async_api import async_playwright, expect

    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page()
        faults = watched(page)
        for name in ("zh-TW/s3", "reference/settings", "media", "index"):  # of each depth, with and without pictures
            await page.goto((BUILT / f"{name}.html").as_uri())
        await page.keyboard.press("Control+k")
        await page.keyboard.type("drain", delay=20)
        found = page.locator("a:visible").filter(has_text="Exit codes")
        await expect(found.first).to_be_visible(timeout=WITHIN_MS)
        assert faults == []
        await browser.close()
