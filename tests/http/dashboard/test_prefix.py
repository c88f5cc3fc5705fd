"""Behind a proxy that serves the daemon below a path: each address that is told is below it, and is of the daemon."""

import re
from dataclasses import dataclass
from typing import Any

import pytest

from secondunit.daemon.http.path_prefix import below, prefix_of
from tests.http.dashboard.browser import Browser, Document
from tests.http.dashboard.sessions import key_of
from tests.http.keys import API_KEY

PREFIX = "/second%20unit"
VIA = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
ADDRESSES = ("href", "src", "action", "poster", "hx-sse:connect")


@dataclass
class Proxy:
    """Takes the prefix off, and has no other paths."""

    client: Any

    async def request(self, method: str, path: str, headers: Any, **more: Any) -> Any:
        assert path.startswith(f"{PREFIX}/"), path
        return await self.client.request(method, path.removeprefix(PREFIX), headers={**headers, **VIA}, **more)


@pytest.fixture
async def browser(visit: Any) -> Browser:
    """One that has signed in through the proxy."""
    made: Browser = await visit(api_key=API_KEY, prefix=PREFIX)
    made.harness.client = Proxy(made.harness.client)
    await made.send(f"{PREFIX}/login", ("key", API_KEY))
    return made


def addresses(document: Document) -> list[str]:
    named = [tag.attributes[name] for tag in document.tags for name in ADDRESSES if name in tag.attributes]
    return [address for address in named if address.startswith("/")]


async def test_a_page_leads_to_nothing_but_what_is_below_the_prefix(browser: Browser) -> None:
    assert browser.url == f"{PREFIX}/"
    job_id = await posted(browser)
    for page in browser.harness.front.pages:
        path = page.path.replace("{id}", job_id)
        if page.scope is None or "{" in path or path in ("/jobs/confirm", "/system/checks"):
            continue
        found = addresses(await browser.open(PREFIX + path))
        assert len(found) > 10 and all(one.startswith(f"{PREFIX}/") for one in found), (path, found)
    asset = next(one for one in addresses(await browser.open(f"{PREFIX}/")) if one.endswith("app.js"))
    assert (await browser.harness.client.request("GET", asset, {})).status == 200


async def test_forms_and_what_is_pushed_stay_below_it(browser: Browser) -> None:
    job_id = await posted(browser)
    await browser.send(f"{PREFIX}/language", ("language", "en"), ("next", f"/jobs/{job_id}"))
    assert browser.url == f"{PREFIX}/jobs/{job_id}"
    answer = await browser.harness.client.request(
        "GET", f"{PREFIX}/live?of=/jobs", {"Cookie": f"secondunit_session={browser.cookies['secondunit_session']}"}
    )
    await browser.harness.clock.advance(1)
    pushed = ""
    while f"/jobs/{job_id}" not in pushed:
        pushed += (await answer.content.readline()).decode()
    answer.close()
    assert set(re.findall(rf'href="([^"]*)/jobs/{job_id}"', pushed)) == {PREFIX}
    # A press of htmx that needs a session leads to where one is begun.
    browser.cookies.clear()
    again = await browser.harness.client.request(
        "POST", f"{PREFIX}/types/act", {"Accept": "text/html", "HX-Request": "true", "Sec-Fetch-Site": "same-origin"}
    )
    assert again.headers["HX-Redirect"] == f"{PREFIX}/login?next=/"


async def test_the_session_is_not_sent_to_what_else_the_host_serves(browser: Browser) -> None:
    answer = await browser.harness.client.request(
        "POST", f"{PREFIX}/login", {"Sec-Fetch-Site": "same-origin"}, data={"key": API_KEY}, allow_redirects=False
    )
    assert answer.headers["Location"] == f"{PREFIX}/"
    assert answer.cookies["secondunit_session"]["path"] == f"{PREFIX}/"
    await browser.open(f"{PREFIX}/jobs")
    await browser.send(f"{PREFIX}/logout")
    assert browser.url == f"{PREFIX}/login" and "secondunit_session" not in browser.cookies


async def test_programs_are_told_addresses_below_it_too(browser: Browser) -> None:
    key = {"X-API-Key": API_KEY}
    client = browser.harness.client
    made = await client.request("POST", f"{PREFIX}/api/jobs", key, json={"type": "idle", "payload": {}})
    assert made.headers["Location"] == f"{PREFIX}/api/jobs/{(await made.json())['jobId']}"
    document = await (await client.request("GET", f"{PREFIX}/api/openapi.json", key)).json()
    assert document["servers"] == [{"url": PREFIX}]


async def test_who_comes_without_the_proxy_finds_the_daemon_at_its_root(browser: Browser) -> None:
    key = {"X-API-Key": await key_of(browser, "read", "submit")}
    straight = browser.harness.client.client
    made = await straight.request("POST", "/api/jobs", headers=key, json={"type": "idle", "payload": {}})
    assert made.headers["Location"].startswith("/api/jobs/")
    page = await straight.request("GET", "/jobs", headers={**key, "Accept": "text/html"})
    found = addresses(Document(await page.text()))
    assert len(found) > 10 and not any(one.startswith(PREFIX) for one in found)
    document = await (await straight.request("GET", "/api/openapi.json", headers=key)).json()
    assert document["servers"] == [{"url": "/"}]


def test_the_prefix_is_the_path_of_public_url_and_safe_in_a_page() -> None:
    assert prefix_of(None) == prefix_of("https://media.example.org") == ""
    assert prefix_of("https://media.example.org/a/second unit/") == "/a/second%20unit"
    assert prefix_of('https://media.example.org/"><b>;') == "/%22%3E%3Cb%3E%3B"
    filled = '<a class="x" href="/jobs?q=a">x</a> <a\nhref="//other/">y</a> a href=&#34;/jobs&#34; <a href="#here">'
    assert below("/p", filled) == filled.replace('"/jobs?', '"/p/jobs?')
    assert below("", filled) == filled


async def posted(browser: Browser) -> str:
    body = {"type": "idle", "payload": {}}
    made = await browser.harness.client.request("POST", f"{PREFIX}/api/jobs", {"X-API-Key": API_KEY}, json=body)
    return str((await made.json())["jobId"])
