"""What the browser tool decides without a browser: what is missing, whose turn it is, what a fault means."""

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.fetching.browser.client import (
    Browser,
    Chromium,
    ChromiumMissing,
    PageLead,
    PageWish,
    find_chromium,
)
from secondunit.handlers.tools.fetching.browser.faults import BrowserFault, judge
from secondunit.handlers.tools.fetching.download_router import Downloads, DownloadWish
from secondunit.handlers.tools.fetching.http_download import Transfer
from secondunit.handlers.tools.fetching.ytdlp.client import YtDlp
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.handlers.tools.network.proxy import Egress, Permit
from secondunit.handlers.tools.programs.ports import Finished
from secondunit.queue.clock import Clock
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.testing.clock import ManualClock
from secondunit.testing.fakes.website import Site
from secondunit.testing.handler_kit import FakeContext

MOST = 1 << 20
NOW = datetime(2026, 1, 2, tzinfo=UTC)


class FakeChild:
    """In the place of the child program: says what it is told to, once it is let go."""

    def __init__(self, *lines: Any, returncode: int = 0) -> None:
        self.lines = lines
        self.returncode = returncode
        self.words = "the last words"
        self.again: Sequence[Any] = ()  # what it says from the second time on, if that is something else
        self.told: list[dict[str, Any]] = []
        self.argv: list[str] = []
        self.running = self.most = 0
        self.go = asyncio.Event()
        self.go.set()

    async def run(
        self, argv: Sequence[str], *, cwd: Path, on_line: Any = None, stdin: bytes | None = None, **_: Any
    ) -> Finished:
        self.argv = list(argv)
        self.told.append(json.loads(stdin or b""))
        self.running += 1
        self.most = max(self.most, self.running)
        await self.go.wait()
        for line in self.lines if len(self.told) == 1 else self.again or self.lines:
            if "caught" in line:
                file = cwd / "downloads" / line["caught"]["name"]
                await asyncio.to_thread(file.write_bytes, line.pop("content"))
            await on_line(json.dumps(line))
        self.running -= 1
        return Finished(self.returncode, self.words)


NOTHING = {"fault": {"type": "nothing", "message": ""}}
TRAIL = {"lead": {"url": "http://127.0.0.1/f", "stream": False, "headers": {}}}


def browser(child: FakeChild, egress: Egress, clock: Clock | None = None) -> Browser:
    return Browser(child, egress, clock or ManualClock(), Chromium("/bin/chromium", "1"), sys.executable)


async def test_one_page_is_looked_at_at_a_time(egress: Egress, ctx: FakeContext) -> None:
    child = FakeChild(TRAIL)
    child.go.clear()
    one = browser(child, egress)
    looks = [asyncio.create_task(one.look(PageWish("http://127.0.0.1/", MOST), ctx)) for _ in range(3)]
    await asyncio.sleep(0.05)
    child.go.set()
    found = await asyncio.gather(*looks)
    assert child.most == 1 and found == [PageLead("http://127.0.0.1/f", False, {})] * 3


async def test_who_waits_for_the_browser_says_so_and_for_how_long(egress: Egress, ctx: FakeContext) -> None:
    child, clock = FakeChild(TRAIL), ManualClock()
    child.go.clear()
    one = browser(child, egress, clock)
    looks = [asyncio.create_task(one.look(PageWish("http://127.0.0.1/", MOST), ctx)) for _ in range(2)]
    async with asyncio.timeout(30):
        while len(ctx.reports) < 2:
            await clock.advance(1)
            await asyncio.sleep(0.01)
    words = [report.message for report in ctx.reports]
    assert words[0] != words[1] and all(word.startswith("waiting for the browser, which ano") for word in words)
    child.go.set()
    await asyncio.gather(*looks)


async def test_no_secret_stands_on_a_command_line(egress: Egress, ctx: FakeContext) -> None:
    child = FakeChild(TRAIL)
    headers = {"X-Key": "s3cret", "User-Agent": "a", "Referer": "r"}
    await browser(child, egress).look(PageWish("http://127.0.0.1/?s3cret", MOST, headers, "c=s3cret"), ctx)
    assert "s3cret" not in " ".join(child.argv)
    told = child.told[0]
    assert (told["headers"], told["user_agent"], told["referer"], told["cookies"]) == (
        {"x-key": "s3cret"},
        "a",
        "r",
        "c=s3cret",
    )


async def test_a_child_without_an_answer_is_tried_again(egress: Egress, ctx: FakeContext) -> None:
    with pytest.raises(Transient, match="the last words"):
        await browser(FakeChild(returncode=1), egress).look(PageWish("http://127.0.0.1/", MOST), ctx)


async def test_a_library_that_the_system_lacks_is_named_with_its_remedy(egress: Egress, ctx: FakeContext) -> None:
    child = FakeChild(returncode=1)
    child.words = "node: error while loading shared libraries: libatomic.so.1: cannot open\nTraceback"
    with pytest.raises(Deterministic, match=r"libatomic\.so\.1.*apt install") as caught:
        await browser(child, egress).look(PageWish("http://127.0.0.1/", MOST), ctx)
    assert caught.value.type == "capability_missing"


async def test_what_is_larger_than_allowed_is_refused_although_the_browser_let_it_through(
    egress: Egress, ctx: FakeContext
) -> None:
    child = FakeChild({"caught": {"name": "download.mp4", "url": "http://127.0.0.1/"}, "content": b"x" * 11})
    with pytest.raises(Deterministic) as caught:
        await browser(child, egress).look(PageWish("http://127.0.0.1/", 10), ctx)
    assert caught.value.type == "too_large"


class Refusing(Egress):
    """A proxy that has refused the page an address."""

    @contextmanager
    def permit(self, most_bytes: int) -> Iterator[Permit]:
        with super().permit(most_bytes) as permit:
            permit.denied = "10.0.0.1 is private"
            yield permit


@pytest.mark.parametrize(
    ("fault", "kind", "type"),
    [
        ({"type": "nothing"}, Deterministic, "egress_denied"),
        ({"type": "status", "message": "403"}, Deterministic, "egress_denied"),
        ({"type": "navigation", "message": "net::ERR_TUNNEL_CONNECTION_FAILED"}, Deterministic, "egress_denied"),
        ({"type": "status", "message": "404"}, Deterministic, "not_found"),
        ({"type": "status", "message": "503"}, Transient, "server_error"),
        ({"type": "stalled", "message": "no byte came"}, Transient, "stalled"),
        ({"type": "browser", "message": "Target closed"}, Transient, "browser_failed"),
    ],
)
async def test_a_refused_address_is_the_cause_only_of_what_can_come_of_it(
    ctx: FakeContext, fault: dict[str, str], kind: type[Exception], type: str
) -> None:
    async with Refusing(AddressRule()) as egress:
        with pytest.raises(kind) as caught:
            await browser(FakeChild({"fault": fault}), egress).look(PageWish("http://site.example/", MOST), ctx)
    assert getattr(caught.value, "type", None) == type


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


def test_what_is_missing_is_named_with_its_package(tmp_path: Path) -> None:
    found = find_chromium(str(tmp_path))
    assert isinstance(found, ChromiumMissing)
    assert "apt install chromium" in found.remedy
    assert found.describe() == {"missing": found.remedy}


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "chromium-browser"
    program.touch(mode=0o755)
    monkeypatch.setattr("secondunit.handlers.tools.fetching.browser.client.LIBRARY", "no_such_library")
    found = find_chromium(str(tmp_path))
    assert isinstance(found, ChromiumMissing)
    assert "make browser" in found.remedy and "apt" not in found.remedy


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_each_name_of_the_system_s_browser_is_found(tmp_path: Path, name: str) -> None:
    pytest.importorskip("playwright", reason="the extra browser is not installed")
    (tmp_path / name).touch(mode=0o755)
    found = find_chromium(str(tmp_path))
    assert isinstance(found, Chromium) and found.program == str(tmp_path / name)


@pytest.mark.parametrize(
    ("fault", "kind", "type"),
    [
        (BrowserFault("nothing"), Deterministic, "nothing_to_download"),
        (BrowserFault("too_large"), Deterministic, "too_large"),
        (BrowserFault("status", "404"), Deterministic, "not_found"),
        (BrowserFault("status", "451"), Deterministic, "forbidden"),
        (BrowserFault("status", "422"), Deterministic, "http_error"),
        (BrowserFault("status", "408"), Transient, "server_error"),
        (BrowserFault("status", "503", "12"), Transient, "server_error"),
        (
            BrowserFault("navigation", "Page.goto: net::ERR_CERT_DATE_INVALID at https://x/"),
            Deterministic,
            "bad_certificate",
        ),
        (
            BrowserFault("navigation", "Page.goto: net::ERR_TOO_MANY_REDIRECTS at x"),
            Deterministic,
            "too_many_redirects",
        ),
        (BrowserFault("navigation", "Page.goto: net::ERR_UNSAFE_REDIRECT at x"), Deterministic, "bad_redirect"),
        (
            BrowserFault("navigation", "Page.goto: net::ERR_TUNNEL_CONNECTION_FAILED at x"),
            Transient,
            "connection_failed",
        ),
        (BrowserFault("navigation", "Page.goto: Timeout 60000ms exceeded."), Transient, "browser_failed"),
        (BrowserFault("browser", "Target closed\nFATAL: No usable sandbox!"), Deterministic, "capability_missing"),
        (BrowserFault("browser", "Target page, context or browser has been closed"), Transient, "browser_failed"),
        (BrowserFault("stalled", "no byte came for 60 s"), Transient, "stalled"),
        (BrowserFault("cookies"), Deterministic, "bad_cookies"),
    ],
)
def test_a_fault_means_what_its_cause_says(fault: BrowserFault, kind: type[Exception], type: str) -> None:
    error = judge(fault, "http://site.example/page", NOW)
    assert isinstance(error, kind)
    assert error.type == type and "\n" not in str(error)


def test_too_many_bytes_explain_any_fault() -> None:
    assert judge(BrowserFault("nothing"), "http://site.example/", NOW, spent=True).type == "too_large"


def test_the_wait_that_a_server_asks_for_is_passed_on_within_reason() -> None:
    def wait(asked: str | None) -> float | None:
        error = judge(BrowserFault("status", "503", asked), "http://site.example/", NOW)
        assert isinstance(error, Transient)
        return error.delay.total_seconds() if error.delay else None

    assert [wait("12"), wait("999999999999"), wait("soon"), wait(None)] == [12, 7 * 86400, None, None]
    assert wait(format_datetime(NOW + timedelta(seconds=90))) == 90
