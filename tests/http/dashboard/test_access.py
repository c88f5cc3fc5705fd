"""Access keys and the audit trail: made and shown once, revoked, listed; for admins alone."""

from typing import Any

import pytest

from tests.http.keys import API_KEY

ADD = (("do", "add"), ("name", "the site"))


async def test_a_key_is_shown_once_and_works_and_the_trail_names_it(visit: Any) -> None:
    browser = await visit(api_key=API_KEY)
    await browser.sign_in(API_KEY)
    asked = (("scope", "read"), ("scope", "submit"), ("type", "idle"), ("days", "30"), ("rate", "9/minute"))
    page = await browser.send("/keys/act", *ADD, *asked)
    [text] = [tag.attributes["value"] for tag in page.all("input", **{"class": "secret"})]
    assert browser.answer.headers["Cache-Control"] == "no-store"
    [key] = (await browser.harness.call("GET", "/api/keys", headers={"X-API-Key": API_KEY}))["keys"]
    assert (key["name"], key["scopes"], key["types"], key["rate"]) == (
        "the site",
        ["read", "submit"],
        ["idle"],
        "9/minute",
    )
    assert key["expiresAt"] == "2030-01-31T00:00:00.000Z"
    await browser.harness.call("GET", "/api/types", headers={"Authorization": f"Bearer {text}"})
    page = await browser.open("/keys")
    assert page.says("the site") and page.says(key["prefix"]) and all(text not in str(tag) for tag in page.tags)
    page = await browser.open("/audit")
    assert page.says("keys add") and page.says("the site: read, submit; types idle")
    assert all(text not in str(tag) for tag in page.tags)


async def test_a_key_is_revoked_after_a_question(visit: Any) -> None:
    browser = await visit(api_key=API_KEY)
    headers = await browser.harness.key("read", name="the site")
    await browser.sign_in(API_KEY)
    page = await browser.open("/keys")
    [link] = [tag.attributes["href"] for tag in page.all("a") if "revoke=" in tag.attributes["href"]]
    page = await browser.open(link)
    assert page.says("Revoke the key of the site?")
    [prefix] = [tag.attributes["value"] for tag in page.all("input", name="prefix")]
    page = await browser.send("/keys/act", ("do", "revoke"), ("prefix", prefix))
    assert page.says("The key of the site is revoked.") and page.all("tr", **{"class": "over"})
    await browser.harness.call("GET", "/api/types", status=401, headers=headers)
    assert not [tag for tag in page.all("a") if "revoke=" in tag.attributes["href"]]
    page = await browser.open("/audit?about=keys+revoke")
    assert len(page.all("tr")) == 2 and page.says("API_KEY")


@pytest.mark.parametrize(("fields", "status", "said"), [
    ([*ADD], 422, "scopes"),
    ([*ADD, ("scope", "root")], 422, "scopes.0"),
    ([("do", "add"), ("name", "API_KEY"), ("scope", "read")], 422, "is taken"),
    ([*ADD, ("scope", "read"), ("rate", "often")], 422, "should be N/second"),
    ([("do", "revoke"), ("prefix", "nothing")], 404, "no key has the prefix nothing"),
    ([("do", "open")], 422, "should be add or revoke"),
])  # fmt: skip
async def test_what_is_wrong_is_refused_with_its_field(visit: Any, fields: Any, status: int, said: str) -> None:
    browser = await visit()
    assert (await browser.send("/keys/act", *fields, status=status)).says(said)
    assert await browser.harness.store.keys.all() == []


async def test_only_an_admin_is_shown_them(visit: Any) -> None:
    browser = await visit(api_key=API_KEY)
    reader = await browser.harness.key("read", "submit", name="reader")
    page = await browser.sign_in(reader["Authorization"].removeprefix("Bearer "))
    assert not page.all("a", href="/keys") and not page.all("a", href="/audit")
    for path in ("/keys", "/audit"):
        await browser.open(path, status=403)
    await browser.send("/keys/act", *ADD, ("scope", "admin"), status=403)
    assert len(await browser.harness.store.keys.all()) == 1


async def test_the_trail_has_pages_and_is_narrowed_to_one_key_action_or_target(visit: Any) -> None:
    browser = await visit()
    assert (await browser.open("/audit")).says("Nothing was changed.")
    for _ in range(26):
        await browser.send("/types/idle", ("do", "pause"))
        await browser.send("/types/clip", ("do", "resume"))
    page = await browser.open("/audit")
    [older] = page.all("a", rel="next")
    assert len(page.all("tr")) == 51 and page.all("a", href="/audit?about=pause")
    assert len((await browser.open(older.attributes["href"])).all("tr")) == 3
    page = await browser.open("/audit?about=clip")
    assert len(page.all("tr")) == 27 and not page.says("pause")
    assert page.says("secondunit keys audit --about clip")
    found = await browser.harness.call("GET", "/api/audit?about=pause&limit=5")
    assert {entry["target"] for entry in found["entries"]} == {"idle"} and found["nextCursor"]
    assert (await browser.open("/audit?about=nobody")).says("Nothing was changed.")


async def test_who_makes_the_first_key_is_told_that_all_will_need_one(visit: Any) -> None:
    browser = await visit()
    page = await browser.open("/keys")
    assert page.says("No key is needed yet") and page.says("Once there is a key, everybody needs one")
    await browser.harness.key("admin")
    await browser.open("/login")
    assert (await browser.open("/keys")).says("Access key")
