"""Actions on jobs and types: the question with its number, the honest answer, the query that stays, the audit trail."""

from typing import Any

import pytest

from secondunit.queue.outcome import Failed, JobError
from secondunit.queue.value import replace


async def failed(harness: Any, number: int, why: str = "no moov atom") -> list[str]:
    ids = [await harness.submit("idle") for _ in range(number)]
    for job_id in ids:
        await harness.settle(job_id, Failed(JobError("deterministic", "Broken", why)))
    return ids


async def audited(harness: Any) -> list[tuple[str, str | None, str | None]]:
    return [(entry.action, entry.target, entry.detail) for entry in await harness.store.audit.find(None, 100)]


async def test_all_that_match_are_retried_with_their_number_in_the_question(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    await failed(harness, 53)
    other = await harness.submit("idle")
    page = await browser.open("/jobs?q=status:failed")
    links = [tag.attributes["href"] for tag in page.all("a")]
    [link] = [link for link in links if "do=retry" in link and "all=1" in link]
    page = await browser.open(link)
    assert page.says("Retry 53 jobs?") and page.says("status:failed") and page.says("and 48 more")
    page = await browser.send("/jobs/act", ("do", "retry"), ("q", "status:failed"))
    assert browser.url == "/jobs?q=status:failed", "the query stays"
    assert page.says("53 retried.") and page.says("No job matches.")
    assert not (await browser.open("/jobs")).says("53 retried."), "it is told once"
    assert await audited(harness) == [("bulk retry", None, "q=status:failed: 53 done, 0 refused")]
    assert (await harness.store.get(other)).status == "queued"


async def test_what_was_refused_is_told_with_its_reasons(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    await failed(harness, 2)
    queued = await harness.submit("idle")
    await harness.start(await harness.submit("clip", {"inputPath": "/a"}))
    page = await browser.send("/jobs/act", ("do", "retry"), ("q", "-status:completed"))
    assert page.says("2 retried, 2 refused: it is running (1); it is queued (1).")
    page = await browser.send("/jobs/act", ("do", "retry"), ("id", queued))
    assert page.says("0 retried, 1 refused: it is queued.")


async def test_one_or_some_that_were_chosen_are_cancelled(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    one, two, three = [await harness.submit("idle") for _ in range(3)]
    page = await browser.open(f"/jobs/confirm?do=cancel&id={one}&id={two}&q=type:idle")
    assert page.says("Cancel 2 jobs?")
    fields = [(tag.attributes["name"], tag.attributes["value"]) for tag in page.all("input", type="hidden")]
    sent = [field for field in fields if field[0] in ("q", "id", "back")]
    page = await browser.send("/jobs/act", ("do", "cancel"), *sent)
    assert page.says("2 cancelled.") and browser.url == "/jobs?q=type:idle"
    assert [(await harness.store.get(id)).status for id in (one, two, three)] == ["cancelled", "cancelled", "queued"]
    await browser.send("/jobs/act", ("do", "cancel"), ("id", three), ("back", f"/jobs/{three}"))
    assert browser.url == f"/jobs/{three}"
    assert (await audited(harness))[0][:2] == ("cancel", three)


async def test_nothing_is_done_to_all_jobs_for_want_of_a_query(visit: Any) -> None:
    browser = await visit()
    await browser.harness.submit()
    assert (await browser.open("/jobs/confirm?do=retry")).says("No job was chosen")
    page = await browser.send("/jobs/act", ("do", "cancel"), status=422)
    assert page.says("an empty filter would mean every job")
    page = await browser.send("/jobs/act", ("do", "delete"), ("q", "type:idle"), status=422)
    assert page.says("should be retry or cancel")


async def test_a_query_that_is_wrong_says_so_beside_the_box(visit: Any) -> None:
    browser = await visit()
    page = await browser.open("/jobs?q=status:broken")
    [box] = page.all("input", type="search")
    assert (box.attributes["value"], box.attributes["aria-invalid"]) == ("status:broken", "true")
    assert page.says("status:broken")


async def test_a_list_has_pages_and_its_query_stays_in_every_link(visit: Any) -> None:
    browser = await visit()
    for _ in range(51):
        await browser.harness.submit("idle")
    page = await browser.open("/jobs?q=type:idle")
    assert page.says("51 jobs") and len(page.all("tr")) == 51, "with the head"
    [older] = page.all("a", rel="next")
    page = await browser.open(older.attributes["href"])
    assert len(page.all("tr")) == 2 and not page.all("a", rel="next")
    chips = [tag.attributes["href"] for tag in page.all("a") if "status:" in tag.attributes["href"]]
    assert len(chips) == 6 and all(chip.startswith("/jobs?q=type:idle+status:") for chip in chips)


async def test_a_secret_of_a_payload_is_no_subject(visit: Any) -> None:
    browser = await visit()
    payload = {"headers": {"a": "geheim"}, "cookies": "geheim", "inputPath": "/films/a.mp4"}
    job_id = await browser.harness.submit("clip", payload)
    page = await browser.open("/jobs")
    assert [tag.text.strip() for tag in page.all("a", href=f"/jobs/{job_id}")] == ["films/a.mp4"]
    assert all("geheim" not in str(tag) for tag in page.tags)


async def test_what_a_job_says_is_text_and_never_markup(visit: Any) -> None:
    browser = await visit()
    nasty = "<script>alert(1)</script>"
    job_id = await browser.harness.submit("clip", {"inputPath": nasty})
    await browser.harness.settle(job_id, Failed(JobError("deterministic", "Broken", nasty)))
    page = await browser.open("/jobs?q=status:failed")
    assert [tag for tag in page.all("script") if "src" not in tag.attributes] == []
    assert page.says(nasty)


async def test_a_type_is_paused_resumed_and_limited(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    page = await browser.send("/types/idle", ("do", "pause"))
    assert page.says("idle is paused") and await harness.queue.paused() == {"idle"}
    assert (await browser.send("/types/idle", ("do", "resume"))).says("idle is resumed.")
    assert (await browser.send("/types/idle", ("do", "limit"), ("concurrency", "7"))).says("idle runs 7 at once")
    assert await harness.store.limits() == {"idle": 7}
    assert (await browser.send("/types/idle", ("do", "limit"), ("concurrency", ""))).says("the setting's number")
    assert await harness.store.limits() == {}
    entries = [("limit", "idle", "default"), ("limit", "idle", "7"), ("resume", "idle", None), ("pause", "idle", None)]
    assert await audited(harness) == entries


@pytest.mark.parametrize(("path", "fields", "said"), [
    ("/types/idle", [("do", "limit"), ("concurrency", "0")], "concurrency"),
    ("/types/idle", [("do", "limit"), ("concurrency", "many")], "concurrency"),
    ("/types/idle", [("do", "stop")], "should be pause, resume or limit"),
    ("/types/nobodys", [("do", "pause")], "nobodys"),
])  # fmt: skip
async def test_a_wrong_order_to_a_type_is_refused_with_its_field(visit: Any, path: str, fields: Any, said: str) -> None:
    browser = await visit()
    assert (await browser.send(path, *fields, status=422)).says(said)


async def test_a_search_that_was_cut_short_says_that_there_may_be_more(visit: Any) -> None:
    browser = await visit()
    store, found = browser.harness.store, browser.harness.store.find
    await failed(browser.harness, 3)

    async def cut(*asked: Any, **more: Any) -> Any:
        return replace(await found(*asked, **more), truncated=True, next_cursor=1)

    store.find = cut
    page = await browser.open("/jobs?q=moov")
    assert page.says("at least 3 jobs, as far as was searched") and page.all("a", rel="next")
    page = await browser.open("/jobs/confirm?do=retry&all=1&q=moov")
    assert page.says("Retry all that match, at least 3?") and page.says("Retry all, at least 3")
    assert page.says("and all others that match")
    browser.language = "zh-TW"
    assert (await browser.open("/jobs?q=moov")).says("至少 3 項工作（搜尋尚未完成）")
    browser.language = "en"
    page = await browser.open("/jobs?q=nowhere")
    assert page.says("No job matches as far as was searched") and page.says("Retry all that match")
    page = await browser.open("/jobs/confirm?do=cancel&all=1&q=nowhere")
    assert page.all("button", name="do", value="cancel"), "there may be some nonetheless"
