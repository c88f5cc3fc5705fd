import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from secondunit.handlers.tools.fetching.browser.client import (
    Chromium,
    ChromiumMissing,
    PageLead,
    PageWish,
    find_chromium,
)
from secondunit.handlers.tools.fetching.browser.faults import BrowserFault, judge
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.handlers.tools.network.proxy import Egress, Permit
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.testing.clock import ManualClock
from secondunit.testing.handler_kit import FakeContext
from tests.unit.handlers.tools.fetching.browser.fake_child import MOST, TRAIL, FakeChild, browser

NOW = datetime(2026, 1, 2, tzinfo=UTC)


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
