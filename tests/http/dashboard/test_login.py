"""Sessions of browsers: begun by a key, bound to it, and no use to another site."""

from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest

from tests.http.dashboard.sessions import key_of, posted, signed_in
from tests.http.keys import API_KEY

CROSS = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}


async def ended(reader: Any) -> bool:
    """Once it has."""
    with suppress(aiohttp.ClientError):
        while await reader.response.content.readline():
            pass
    return True


async def test_who_has_no_session_is_asked_for_a_key_and_led_back(visit: Any) -> None:
    browser = await visit(api_key=API_KEY)
    page = await browser.open("/jobs?q=status:failed")
    assert browser.url == "/login?next=/jobs%3Fq%3Dstatus%3Afailed"
    *_, hidden = page.all("input", name="next")
    assert hidden.attributes["value"] == "/jobs?q=status:failed"
    page = await browser.send("/login", ("key", f" {API_KEY}\n"), ("next", hidden.attributes["value"]))
    assert browser.url == "/jobs?q=status:failed" and page.says("Jobs")


async def test_a_wrong_key_begins_nothing(visit: Any) -> None:
    browser = await visit(api_key=API_KEY)
    page = await browser.send("/login", ("key", "guess"), status=401)
    assert page.says("no valid key") and browser.cookies == {}
    assert all("guess" not in tag.attributes.values() for tag in page.tags)


async def test_what_the_browser_keeps_is_for_our_pages_alone_and_not_what_we_keep(visit: Any) -> None:
    browser = await signed_in(visit)
    browser.cookies.clear()
    answer = await browser.harness.raw(
        "POST", "/login", data={"key": API_KEY}, headers={"Sec-Fetch-Site": "same-origin"}, allow_redirects=False
    )
    cookie = answer.cookies["secondunit_session"]
    assert cookie["httponly"] and not cookie["secure"]
    assert (cookie["samesite"], cookie["path"]) == ("Strict", "/")
    assert len(cookie.value) >= 43
    kept = repr(vars(browser.harness.store.cache))
    assert "session " in kept and cookie.value not in kept and API_KEY not in kept


async def test_behind_a_trusted_proxy_with_tls_the_cookie_is_for_tls_alone(visit: Any) -> None:
    browser = await visit(api_key=API_KEY, trusted_proxies=(ip_network("127.0.0.0/8"),))
    for scheme, secure in (("https", True), ("http", "")):
        headers = {"Sec-Fetch-Site": "same-origin", "X-Forwarded-Proto": scheme, "X-Forwarded-For": "192.0.2.7"}
        answer = await browser.harness.raw(
            "POST", "/login", data={"key": API_KEY}, headers=headers, allow_redirects=False
        )
        assert answer.cookies["secondunit_session"]["secure"] == secure


async def test_guesses_are_limited_by_address(visit: Any) -> None:
    browser = await visit(api_key=API_KEY)
    for _ in range(10):
        await browser.send("/login", ("key", "guess"), status=401)
    page = await browser.send("/login", ("key", API_KEY), status=429)
    assert page.says("Too many requests") and int(browser.answer.headers["Retry-After"]) > 0
    await browser.harness.clock.advance(60)
    assert (await browser.sign_in(API_KEY)).says("Overview")


async def test_signing_out_ends_the_session_for_good(visit: Any) -> None:
    browser = await signed_in(visit)
    stolen = dict(browser.cookies)
    page = await browser.send("/logout")
    assert page.says("You are signed out.") and "secondunit_session" not in browser.cookies
    browser.cookies = stolen
    await browser.open("/")
    assert browser.url.startswith("/login")


async def test_a_revoked_key_ends_its_sessions_and_their_open_pages_at_once(visit: Any) -> None:
    browser = await visit(api_key=API_KEY)
    key = await key_of(browser, "read")
    await browser.sign_in(key)
    jar = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    async with browser.harness.listen("/live?of=/", Cookie=jar) as reader:
        while b"data: " not in await reader.response.content.readline():
            pass
        await browser.harness.keys.revoke(key[3:11])
        assert await ended(reader)
    await browser.open("/")
    assert browser.url.startswith("/login")


async def test_a_session_ends_after_a_week_and_with_its_key(visit: Any) -> None:
    browser = await visit(api_key=API_KEY)
    await browser.sign_in(await key_of(browser, "read", expires_at=browser.harness.clock.now() + timedelta(days=1)))
    await browser.harness.clock.advance(86_399)
    assert (await browser.open("/")).says("Overview")
    await browser.harness.clock.advance(1)
    await browser.open("/")
    assert browser.url.startswith("/login")
    await browser.sign_in(API_KEY)
    await browser.harness.clock.advance(7 * 86_400)
    await browser.open("/")
    assert browser.url.startswith("/login")


async def test_a_session_reads_the_api_too(visit: Any) -> None:
    browser = await signed_in(visit)
    job_id = await posted(browser)
    jar = {"Cookie": f"secondunit_session={browser.cookies['secondunit_session']}"}
    assert (await browser.harness.call("GET", f"/api/jobs/{job_id}", headers=jar))["jobId"] == job_id
    await browser.harness.call("GET", f"/api/jobs/{job_id}", status=401, headers={"Cookie": "secondunit_session=x"})


async def test_no_other_site_can_have_a_browser_change_anything(visit: Any) -> None:
    browser = await signed_in(visit)
    jar = {"Cookie": f"secondunit_session={browser.cookies['secondunit_session']}"}
    host = f"{browser.harness.client.host}:{browser.harness.client.port}"
    foreign = [{}, CROSS, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://other.example"}, {"Origin": "null"}]
    foreign += [{"Origin": f"https://{host}"}, {"Origin": f"http://{host}", "X-Forwarded-Proto": "https"}]
    for headers in foreign:
        for method, path in (("POST", "/types/idle"), ("POST", "/api/types/idle/pause"), ("POST", "/logout")):
            answer = await browser.harness.raw(method, path, data={"do": "pause"}, headers=jar | headers)
            assert answer.status == 403, (path, headers)
    assert await browser.harness.queue.paused() == set()
    answer = await browser.harness.raw("POST", "/api/types/idle/pause", headers=jar | {"Origin": f"http://{host}"})
    assert answer.status == 200 and await browser.harness.queue.paused() == {"idle"}
    by_proxy = jar | {"Origin": f"https://{host}", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
    assert (await browser.harness.raw("POST", "/api/types/idle/resume", headers=by_proxy)).status == 200


async def test_no_other_site_can_press_a_button_where_no_key_is_needed(visit: Any) -> None:
    harness = (await visit()).harness
    for headers in ({}, CROSS, {"Origin": "null"}):
        for path in ("/types/idle", "/language", "/jobs/act", "/login"):
            assert (await harness.raw("POST", path, data={"do": "pause"}, headers=headers)).status == 403
    assert await harness.queue.paused() == set()


@pytest.mark.parametrize("to", ["//elsewhere.example", "https://elsewhere.example", "/\\elsewhere.example", "jobs", ""])
async def test_nobody_is_led_to_another_site(visit: Any, to: str) -> None:
    browser = await visit(api_key=API_KEY)
    await browser.send("/login", ("key", API_KEY), ("next", to))
    assert browser.url == "/"


async def test_what_a_key_may_not_do_is_not_shown_and_is_refused(visit: Any) -> None:
    browser = await visit(api_key=API_KEY)
    harness = browser.harness
    await browser.sign_in(await key_of(browser, "read"))
    await posted(browser)
    types = await browser.open("/types")
    assert [form.attributes["action"] for form in types.all("form", method="post")] == ["/language", "/logout"]
    jobs = await browser.open("/jobs?q=type:idle")
    assert not jobs.all("input", type="checkbox") and not jobs.says("Cancel")
    for path in ("/types/idle", "/jobs/act"):
        page = await browser.send(path, ("do", "pause"), status=403)
        assert page.says("This is not allowed")
    assert await harness.queue.paused() == set()


async def test_a_key_that_sees_its_own_jobs_alone_sees_no_others(visit: Any) -> None:
    browser = await visit(api_key=API_KEY)
    harness, key = browser.harness, await key_of(browser, "submit")
    other, own = [await posted(browser, key=one) for one in (API_KEY, key)]
    page = await browser.sign_in(key)
    assert browser.url == "/jobs", "the overview is not for it"
    assert [link.attributes["href"] for link in page.all("a") if link.text == "Overview"] == []
    rows = [row.attributes["id"] for row in page.all("tr") if "id" in row.attributes]
    assert rows == [f"job_{own}"]
    await browser.open(f"/jobs/{other}", status=404)
    await browser.open("/", status=403)
    page = await browser.send("/jobs/act", ("do", "cancel"), ("id", other), ("id", own))
    assert page.says("1 cancelled.")
    assert (await harness.store.get(other)).status == "queued"


async def test_keys_of_two_callers_in_one_request_are_refused(visit: Any) -> None:
    browser = await signed_in(visit)
    harness, other = browser.harness, await key_of(browser, "submit")
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    for pair in (
        {"Authorization": f"Bearer {API_KEY}", "X-API-Key": other},
        {"Authorization": f"Bearer {other}", "X-API-Key": API_KEY},
        {"Authorization": f"Bearer {API_KEY}", "X-API-Key": "guess"},
        {"X-API-Key": other, **cookie},
        {"Authorization": f"Bearer {other}", **cookie},
    ):
        answer = await harness.raw("GET", "/api/jobs", headers=pair)
        assert (answer.status, (await answer.json())["type"]) == (400, "urn:secondunit:problem:two-keys")
    answer = await harness.raw("GET", f"/api/events?token={other}", headers={"X-API-Key": API_KEY})
    assert answer.status == 400


async def test_one_key_may_be_sent_in_several_ways(visit: Any) -> None:
    browser = await signed_in(visit)
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    for pair in (
        {"Authorization": f"bearer  {API_KEY} ", "X-API-Key": API_KEY},
        {"X-API-Key": API_KEY, **cookie},
        {"X-API-Key": API_KEY, "Authorization": "Basic YTpi"},  # of a proxy, say
        {"X-API-Key": API_KEY, "Cookie": "session=somebody-else's"},
    ):
        assert (await browser.harness.raw("GET", "/api/jobs", headers=pair)).status == 200


async def test_guesses_do_not_get_around_the_rate_in_pairs(visit: Any) -> None:
    browser = await visit(api_key=API_KEY, rate_limit="5/minute")
    pair = {"Authorization": "Bearer a", "X-API-Key": "b"}
    statuses = [(await browser.harness.raw("GET", "/api/jobs", headers=pair)).status for _ in range(6)]
    assert statuses == [400] * 5 + [429]
