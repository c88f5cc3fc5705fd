"""The operator's pages in a browser, on a daemon with real jobs: errors, batches, schedules, keys, system, backend."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect  # noqa: TID253  these tests are a browser's alone

from tests.e2e.conftest import Daemon, installed_plugin, starting
from tests.e2e.dashboard.conftest import Account, sign_in
from tests.e2e.dashboard.scene import FAILING, KEY, SCHEDULES, submitted, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PAGES = ("/boxes", "/errors", "/batches", "/schedules", "/backend", "/keys", "/audit", "/system", "/system/checks")


def batch(daemon: Daemon, *jobs: dict[str, Any], name: str = "films") -> str:
    asked = {"name": name, "jobs": [{"type": "sleep", "payload": {"seconds": 600}} | job for job in jobs]}
    return str(daemon.call("POST", "/api/jobs/batch", asked, X_API_Key=KEY).body["batchId"])


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("operated")
    installed_plugin(folder / "plugins", "failer", FAILING)
    (folder / "config.toml").write_text(SCHEDULES)
    with starting(folder) as start:
        daemon = start(API_KEY=KEY, CONCURRENCY_SLEEP="1", SECONDUNIT_CONFIG=str(folder / "config.toml")).ready()
        for n in range(2):
            until(daemon, submitted(daemon, "clip", {"inputPath": f"/films/{n}.mov"}), "failed")
        yield daemon


@pytest.fixture(scope="module")
def signed_in(chromium: Browser, daemon: Daemon) -> Any:
    """What a browser keeps of a sign-in; there may be ten a minute."""
    context = chromium.new_context(base_url=f"http://127.0.0.1:{daemon.port}")
    page = context.new_page()
    page.goto("/login")
    sign_in(page, KEY)
    page.get_by_role("button", name="Sign out").wait_for()
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def page(chromium: Browser, daemon: Daemon, account: Account, signed_in: Any) -> Iterator[Page]:
    url = f"http://127.0.0.1:{daemon.port}"
    context = chromium.new_context(base_url=url, locale="en-GB", storage_state=signed_in)
    page = context.new_page()
    page.set_default_timeout(30_000)
    account.watch(page)
    yield page
    context.close()


def test_a_group_of_errors_and_a_batch_are_moved_as_one(page: Page, daemon: Daemon, account: Account) -> None:
    page.goto("/errors")
    account.settled(page)
    page.get_by_role("link", name="Retry all of these").click()
    page.get_by_role("button", name="Retry 2").click()
    expect(page.get_by_role("status")).to_have_text("2 retried.")
    expect(page.locator("tr[data-row]")).to_have_count(1)  # they fail again, and the page follows
    page.get_by_role("link", name="no moov atom").click()
    expect(page.locator("tr[data-row]")).to_have_count(2)
    id = batch(daemon, {"ref": "a"}, {"ref": "b", "dependsOn": ["a"]}, {"ref": "c", "dependsOn": ["a"]})
    page.get_by_role("link", name="Batches").click()
    page.get_by_role("link", name="films").click()
    expect(page.locator(".node")).to_have_count(3)
    expect(page.locator(".node.running")).to_have_count(1)
    account.settled(page)
    page.get_by_role("link", name="Cancel what is left").click()
    page.get_by_role("link", name="No, go back").click()
    page.get_by_role("link", name="Cancel what is left").click()
    account.settled(page)
    page.get_by_role("button", name="Cancel 3").click()
    expect(page.get_by_role("status")).to_have_text("3 cancelled.")
    expect(page.locator(".node.cancelled")).to_have_count(3)
    page.locator(".node").first.click()
    expect(page).not_to_have_url(f"http://127.0.0.1:{daemon.port}/batches/{id}")
    failing = {"type": "clip", "payload": {"inputPath": "/films/x.mov"}, "retryPolicy": {"maxRetries": 0}}
    page.goto(f"/batches/{batch(daemon, failing)}")
    page.get_by_role("link", name="Retry what failed").click()
    page.get_by_role("button", name="Retry it").click()
    expect(page.get_by_role("status")).to_have_text("1 retried.")
    account.settled(page)


def test_a_schedule_is_run_paused_and_resumed(page: Page, account: Account) -> None:
    page.goto("/schedules")
    expect(page.locator("ol li")).to_have_count(5)
    page.get_by_role("button", name="Pause").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("nightly site is paused")
    account.settled(page)
    expect(page.get_by_role("button", name="Resume")).to_be_focused()  # in the place of the one that was pressed
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("nightly site comes again")
    page.get_by_role("button", name="Run now").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("A job of nightly site is submitted.")
    expect(page.get_by_role("button", name="Run now")).to_be_focused()
    expect(page.locator("#told")).to_contain_text("A job of nightly site is submitted.")
    account.settled(page)


def test_a_key_is_made_shown_once_and_revoked_and_the_trail_tells_it(page: Page, account: Account) -> None:
    page.goto("/keys")
    page.get_by_label("Name").fill("the site")
    page.get_by_label("submit").check()
    page.get_by_label("sleep", exact=True).check()
    account.settled(page)
    page.get_by_role("button", name="Make the key").click()
    assert page.get_by_label("Access key").input_value().startswith("su_")
    account.settled(page)
    page.get_by_role("link", name="Back", exact=True).click()
    page.get_by_role("link", name="Revoke").click()
    account.settled(page)
    page.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_role("status")).to_have_text("The key of the site is revoked.")
    account.settled(page)
    page.get_by_role("link", name="Audit trail").click()
    page.get_by_role("link", name="keys revoke").first.click()
    expect(page.locator("tr[data-row]")).to_have_count(1)
    page.get_by_role("searchbox").fill("keys add")
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator("tr[data-row]")).to_contain_text(["the site: submit; types sleep"])
    account.settled(page)
    page.get_by_role("link", name="System").click()
    page.get_by_role("link", name="Examine it now").click()
    page.get_by_role("link", name="Again").click()
    expect(page.get_by_text("/health says")).to_be_visible()


def test_every_page_is_whole_on_a_narrow_dark_screen_in_chinese(
    chromium: Browser, daemon: Daemon, account: Account, signed_in: Any
) -> None:
    context = chromium.new_context(
        base_url=f"http://127.0.0.1:{daemon.port}", locale="zh-TW", color_scheme="dark", storage_state=signed_in,
        viewport={"width": 360, "height": 800},
    )  # fmt: skip
    page = context.new_page()
    account.watch(page)
    unbroken = "x" * 100
    long = batch(daemon, {"ref": unbroken}, name=unbroken)
    failed = submitted(daemon, "clip", {"inputPath": f"/films/{2 * unbroken}.mov"})
    until(daemon, failed, "failed")
    for path in (*PAGES, f"/batches/{long}", f"/jobs/{failed}", "/jobs", "/"):
        page.goto(path)
        assert page.locator("html").get_attribute("lang") == "zh-Hant"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        account.settled(page)
    context.close()
