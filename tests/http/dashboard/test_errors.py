"""Errors in groups: of a window, of a type, with the query for the jobs of each."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from secondunit.daemon.dashboard.views.errors import query_of
from secondunit.queue.model import Submission
from secondunit.queue.outcome import Failed, JobError
from secondunit.queue.sight.fingerprint import ErrorGroup
from tests.http.harness import ApiHarness
from tests.http.keys import API_KEY


async def failed(harness: ApiHarness, type: str, *whys: str) -> None:
    payload = {"inputPath": "/films/a.mov"} if type == "clip" else {}
    for why in whys:
        await harness.settle(await harness.submit(type, payload), Failed(JobError("deterministic", "Broken", why)))


def query(href: str) -> dict[str, str]:
    return {name: value for name, [value] in parse_qs(urlsplit(href).query).items()}


async def test_a_group_links_its_jobs_and_the_question_that_retries_them_all(visit: Any) -> None:
    browser = await visit()
    await failed(
        browser.harness, "clip", "no moov atom in /films/1.mov", "no moov atom in /films/2.mov", "disk is full"
    )
    await failed(browser.harness, "idle", "no moov atom in /films/3.mov")
    page = await browser.open("/errors")
    rows = [tag.text.split() for tag in page.all("tr")[1:]]
    assert [row[0] for row in rows] == ["2", "1", "1"]
    [link] = [tag for tag in page.all("a") if "films/2" in tag.text]
    q = 'type:clip status:failed class:deterministic error:Broken "no moov atom in"'
    assert query(link.attributes["href"]) == {"q": q}
    assert (await browser.open(link.attributes["href"])).says("2 jobs")
    retries = [tag.attributes["href"] for tag in page.all("a") if "do=retry" in tag.attributes["href"]]
    [retry] = [one for one in retries if query(one)["q"] == q]
    question = await browser.open(retry)
    assert question.says("Retry 2 jobs?")
    assert [tag.attributes["value"] for tag in question.all("input", name="back")] == ["/errors"]
    page = await browser.send("/jobs/act", ("do", "retry"), ("q", q), ("back", "/errors"))
    assert browser.url == "/errors" and page.says("2 retried.")
    assert len(page.all("tr")) == 3, "with the head"


async def test_a_window_and_a_type_are_chosen_and_told_to_the_command_and_the_twin(visit: Any) -> None:
    browser = await visit()
    await failed(browser.harness, "idle", "it broke")
    await browser.harness.clock.advance(2 * 3600)
    await failed(browser.harness, "clip", "it broke")
    assert len((await browser.open("/errors")).all("tr")) == 3
    page = await browser.open("/errors?window=1h")
    assert len(page.all("tr")) == 2 and page.says("clip")
    page = await browser.open("/errors?window=7d&type=idle")
    assert len(page.all("tr")) == 2 and page.says("secondunit errors --window 7d --type idle")
    [twin] = [tag.attributes["href"] for tag in page.all("a") if tag.attributes["href"].startswith("/api/")]
    found = await browser.harness.call("GET", twin)
    assert [group["type"] for group in found["groups"]] == ["idle"]
    page = await browser.open("/errors?window=1h&type=idle")
    assert page.says("Nothing failed for good in this window.")
    assert [tag.text for tag in page.all("a", href="/errors?window=1h&type=idle")][-1] == "idle", "it stays chosen"


async def test_a_key_that_may_not_retry_is_not_offered_it(visit: Any) -> None:
    browser = await visit(api_key=API_KEY)
    job_id = (await browser.harness.api.queue.submit(Submission("idle", {})))[0].id
    await browser.harness.settle(job_id, Failed(JobError("deterministic", "Broken", "it broke")))
    reader = await browser.harness.key("read")
    page = await browser.sign_in(reader["Authorization"].removeprefix("Bearer "))
    page = await browser.open("/errors")
    assert page.says("it broke") and not [tag for tag in page.all("a") if "confirm" in tag.attributes["href"]]
    submitter = await browser.harness.key("submit", name="another")
    await browser.sign_in(submitter["Authorization"].removeprefix("Bearer "))
    page = await browser.open("/jobs")
    assert not page.all("a", href="/errors"), "it sees its own jobs alone"
    await browser.open("/errors", status=403)


@pytest.mark.parametrize(("message", "words"), [
    ("no moov atom in /films/0.mov", '"no moov atom in"'),
    ("/films/0.mov has no moov atom", '"has no moov atom"'),
    ('said "no such codec" at 12:00:01', '"no such codec"'),
    ("two\nlines are one here, and there", "two"),
    ("404", ""),
    ("no", ""),
    ("x" * 500, f'"{"x" * 200}"'),
])  # fmt: skip
def test_a_query_quotes_the_longest_words_that_are_in_every_message_of_the_group(message: str, words: str) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    error = JobError("transient", "an error, or two", message)
    q = query_of(ErrorGroup("f", "clip", error, 1, now, now, []))
    expected = "type:clip status:failed class:transient"
    assert q == f"{expected} {words}".strip() or (words == "two" and q == expected)
