"""A Chromium that looks at the pages of a daemon, and keeps account of what it did to show them."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: TID253  these tests are a browser's alone

from tests.e2e.conftest import Daemon

NODE = Path(__file__).parents[2] / "node"
AXE = NODE / "node_modules" / "axe-core" / "axe.min.js"
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective + " " + event.blockedURI));
"""  # noqa: E501  it is one line of JavaScript


# A name in no DNS: to an address that is neither loopback nor TLS a browser says less of where a form is from.
NAME = "box.test"
NAMED = f"--host-resolver-rules=MAP {NAME} 127.0.0.1"


@dataclass
class Account:
    """What went wrong on a page, whatever page it was: nothing may."""

    host: str
    faults: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Keep account of this page, and of each that it turns into."""
        page.add_init_script(WATCH)
        page.on("console", lambda said: self.faults.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))

    def _asked(self, url: str) -> None:
        if urlsplit(url).netloc != self.host:
            self.faults.append(f"asked {url}")

    def settled(self, page: Page) -> None:
        """Nothing went wrong so far, and nothing on this page is closed to anybody."""
        assert page.evaluate("window.violations") == []
        assert self.faults == []
        assert found(page) == []


def found(page: Page) -> list[Any]:
    """What axe-core calls serious or worse."""
    page.evaluate(AXE.read_text())
    told = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    grave = [one for one in told["violations"] if one["impact"] in ("serious", "critical")]
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in grave]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's, for a file's tests: while it is there a loop runs, beside which no other file's own can."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None or not AXE.exists():
        pytest.skip("NOBODY HAS LOOKED AT THE PAGES: install chromium, and `npm ci` in tests/node")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", NAMED])
        yield browser
        browser.close()


@pytest.fixture
def account(daemon: Daemon) -> Account:
    """Of the file's daemon."""
    return Account(f"127.0.0.1:{daemon.port}")


@pytest.fixture
def signed_out(chromium: Browser, daemon: Daemon, account: Account) -> Iterator[Page]:
    """A page whose account is kept, where nobody has signed in."""
    context = chromium.new_context(base_url=f"http://127.0.0.1:{daemon.port}", locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(30_000)
    account.watch(page)
    yield page
    context.close()


def sign_in(page: Page, key: str) -> None:
    """With a key, where the page asks for it."""
    page.get_by_label("Access key").fill(key)
    page.get_by_role("button", name="Sign in").click()
