"""The pages in a browser, on a daemon with real jobs: every button is pressed, nothing is said on the console."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect  # noqa: TID253  these tests are a browser's alone

from tests.e2e.conftest import Daemon, installed_plugin, starting
from tests.e2e.dashboard.conftest import NAME, Account, found, sign_in
from tests.e2e.dashboard.scene import FAILING, KEY, submitted, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def page(signed_out: Page, daemon: Daemon, account: Account) -> Page:
    """Signed in, on the overview."""
    signed_out.goto("/jobs?q=type:clip")
    account.settled(signed_out)
    sign_in(signed_out, KEY)
    expect(signed_out).to_have_url(f"http://127.0.0.1:{daemon.port}/jobs?q=type:clip")
    return signed_out


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One with three jobs that failed, one that runs and two that wait."""
    folder = tmp_path_factory.mktemp("looked-at")
    installed_plugin(folder / "plugins", "failer", FAILING)
    with starting(folder) as start:
        daemon = start(API_KEY=KEY, CONCURRENCY_SLEEP="1").ready()
        for n in range(3):
            job_id = submitted(daemon, "clip", {"inputPath": f"/films/{n}.mov"})
            until(daemon, job_id, "failed")
        for _ in range(3):
            submitted(daemon, "sleep", {"seconds": 600})
        yield daemon


def test_a_browser_signs_in_and_out_by_a_name_without_tls(signed_out: Page, daemon: Daemon, account: Account) -> None:
    account.host = f"{NAME}:{daemon.port}"
    signed_out.goto(f"http://{account.host}/")
    sign_in(signed_out, KEY)
    expect(signed_out.get_by_role("heading", name="Overview")).to_be_visible()
    signed_out.get_by_role("button", name="Sign out").click()
    expect(signed_out.get_by_label("Access key")).to_be_visible()
    assert account.faults == []


def test_every_button_on_the_lists_does_what_it_says(page: Page, daemon: Daemon, account: Account) -> None:
    # All that match, with the number in the question.
    page.get_by_role("link", name="failed", exact=True).click()
    expect(page.locator("tr[data-row]")).to_have_count(3)
    account.settled(page)
    page.get_by_role("link", name="Retry all that match").click()
    expect(page.get_by_role("heading", name="Retry 3 jobs?")).to_be_visible()
    account.settled(page)
    page.get_by_role("link", name="No, go back").click()
    page.get_by_role("link", name="Retry all that match").click()
    page.get_by_role("button", name="Retry 3").click()
    expect(page.get_by_role("status")).to_have_text("3 retried.")
    expect(page.get_by_role("status")).to_be_focused()
    assert "q=type:clip+status:failed" in page.url
    # What happens is shown as it happens: they fail again, and the list fills without anybody asking.
    expect(page.locator("tr[data-row]")).to_have_count(3)
    # Those chosen.
    page.get_by_role("searchbox").fill("type:sleep status:queued")
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator("tr[data-row]")).to_have_count(2)
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.get_by_label("All on this page").check()
    page.get_by_role("button", name="Cancel chosen").click()
    page.get_by_role("button", name="Cancel 2").click()
    expect(page.get_by_role("status")).to_have_text("2 cancelled.")
    expect(page.get_by_text("No job matches.")).to_be_visible()
    # One.
    page.get_by_role("link", name="running", exact=True).click()
    page.locator("tr[data-row]").get_by_role("link", name="Cancel").click()
    page.get_by_role("button", name="Cancel it").click()
    expect(page.get_by_role("status")).to_have_text("1 cancelled.")
    page.get_by_text("What can be searched for").click()
    account.settled(page)


def test_a_list_is_worked_by_the_keyboard(page: Page, account: Account) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    account.settled(page)
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("tr[data-row]").nth(1)).to_have_class("here")
    page.keyboard.press("k")
    page.keyboard.press("x")
    expect(page.get_by_role("button", name="Retry chosen 1")).to_be_visible()
    page.keyboard.press("r")
    expect(page.get_by_role("heading", name="Retry 1 job?")).to_be_visible()
    page.get_by_role("button", name="Retry it").press("Enter")
    expect(page.get_by_role("status")).to_have_text("1 retried.")
    expect(page.locator("tr.here a").first).to_be_focused()  # j and k go on from the job that was moved
    account.settled(page)


def test_types_are_paused_and_limited_and_the_overview_follows(page: Page, daemon: Daemon, account: Account) -> None:
    page.get_by_role("link", name="Job types").click()
    card = page.locator("#type_sleep")
    card.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status")).to_contain_text("sleep is paused")
    card.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status")).to_contain_text("sleep is resumed")
    for _ in range(3):
        submitted(daemon, "sleep", {"seconds": 600})
    card.get_by_label("At once").fill("2")
    card.get_by_role("button", name="Set").click()
    expect(page.get_by_role("status")).to_contain_text("sleep runs 2 at once")
    expect(card.get_by_text("2 / 2")).to_be_visible()
    account.settled(page)
    page.get_by_role("link", name="Overview").click()
    expect(page.locator("canvas")).to_have_count(4)
    for name in ("6 hours", "24 hours", "7 days", "1 hour"):
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("link", name=name, exact=True)).to_have_attribute("aria-current", "true")
        expect(page.locator("canvas")).to_have_count(4)
    account.settled(page)
    row = page.locator("#live_by_type tr", has_text="clip")
    expect(row.get_by_role("cell").nth(4)).to_have_text("3")
    submitted(daemon, "clip", {"inputPath": "/films/late.mov"})
    expect(row.get_by_role("cell").nth(4)).to_have_text("4")
    time = page.locator("#live_tiles time").first
    assert "T" in (time.get_attribute("datetime") or "") and "(" in (time.get_attribute("title") or "")


@pytest.fixture
def live(chromium: Browser, daemon: Daemon) -> Iterator[Page]:
    """A page whose clock can be put forward, with the jobs of one type."""
    context = chromium.new_context(base_url=f"http://127.0.0.1:{daemon.port}", extra_http_headers={"X-API-Key": KEY})
    page = context.new_page()
    page.clock.install()
    yield page
    context.close()


def test_a_page_says_so_while_it_has_no_connection_and_goes_on_by_itself(live: Page, daemon: Daemon) -> None:
    live.goto("/jobs?q=type:sleep")
    rows, said = live.locator("tr[data-row]"), live.get_by_text("No connection to the daemon")
    before = rows.count()
    submitted(daemon, "sleep", {"seconds": 600})
    expect(rows).to_have_count(before + 1)  # it is live
    expect(said).to_be_hidden()
    live.context.set_offline(True)
    live.get_by_role("link", name="queued", exact=True).click()
    expect(said).to_be_visible()  # what was pressed is not done
    live.context.set_offline(False)
    live.get_by_role("link", name="queued", exact=True).click()
    expect(said).to_be_hidden()
    before = rows.count()
    # A network that is gone may say nothing at all.
    live.context.set_offline(True)
    live.clock.fast_forward(60_000)
    expect(said).to_be_visible()
    submitted(daemon, "sleep", {"seconds": 600})
    live.context.set_offline(False)
    live.clock.fast_forward(10_000)
    expect(said).to_be_hidden(timeout=30_000)
    expect(rows).to_have_count(before + 1)


def test_a_page_that_was_opened_unseen_is_live_once_it_is_looked_at(live: Page, daemon: Daemon) -> None:
    live.add_init_script("Object.defineProperty(document, 'hidden', {get: () => !window.seen})")
    live.goto("/jobs?q=type:sleep")
    live.wait_for_function("document.getElementById('stream')?.hasAttribute('data-htmx-powered')")
    rows = live.locator("tr[data-row]")
    before = rows.count()
    live.evaluate("window.seen = true; document.dispatchEvent(new Event('visibilitychange'))")
    submitted(daemon, "sleep", {"seconds": 600})
    expect(rows).to_have_count(before + 1)


@pytest.mark.long
def test_a_page_outlives_the_daemon(chromium: Browser, tmp_path: Path) -> None:
    with starting(tmp_path) as start:
        daemon = start().ready()
        page = chromium.new_page()
        page.goto(f"http://127.0.0.1:{daemon.port}/jobs")
        rows, said = page.locator("tr[data-row]"), page.get_by_text("No connection to the daemon")
        daemon.submit(seconds=600)
        expect(rows).to_have_count(1)
        daemon.process.kill()
        expect(said).to_be_visible(timeout=30_000)
        again = start(PORT=str(daemon.port))
        again.port = daemon.port
        again.ready().submit(seconds=600)
        expect(said).to_be_hidden(timeout=30_000)
        expect(rows).to_have_count(2)
        page.close()


def test_the_language_is_changed_and_the_session_ended(page: Page, account: Account) -> None:
    page.get_by_role("button", name="繁體中文").click()
    expect(page.get_by_role("heading", name="工作", exact=True)).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "zh-Hant"
    account.settled(page)
    page.get_by_role("button", name="English").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    account.settled(page)
    page.goto("/types")
    expect(page.get_by_label("Access key")).to_be_visible()


def test_what_is_looked_out_for_is_found(chromium: Browser, daemon: Daemon) -> None:
    account = Account(f"127.0.0.1:{daemon.port}")
    page = chromium.new_page()
    account.watch(page)
    page.goto(f"http://127.0.0.1:{daemon.port}/login")
    page.evaluate("document.querySelector('label').remove(); document.querySelector('input[type=password]').id = ''")
    assert [id for id, _ in found(page)] == ["label"]
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: '1'}))")
    page.evaluate("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.2:1/x.png'}))")
    page.wait_for_function("window.violations.length == 2")
    assert [one.partition(" ")[0] for one in page.evaluate("window.violations")] == ["script-src-elem", "img-src"]
    assert len(account.faults) >= 2
    page.close()
