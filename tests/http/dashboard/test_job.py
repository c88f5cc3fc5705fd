"""The page of one job: its way with each wait, what it cost and wrote, and nothing that is secret."""

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secondunit.daemon.dashboard.one_job.timeline import timeline
from secondunit.daemon.delivery.policy import Delivered, TryLater, settle
from secondunit.daemon.files.artifacts import ArtifactFile, JobArtifacts, StorageAway
from secondunit.daemon.formats import instant
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.storage.workspace import WorkFolders
from secondunit.queue import state
from secondunit.queue.model import Job
from secondunit.queue.outcome import Completed, Failed, JobError, Partial, Postpone, Released
from secondunit.queue.value import replace
from secondunit.testing.folder_log import folder_log
from secondunit.testing.jobs import NoJitter
from tests.http.dashboard.browser import Browser
from tests.http.dashboard.test_login import key_of, signed_in

BROKEN = Failed(JobError("transient", "Broken", "no moov atom"))
GEMINI = """{"modelVersion": "gemini-2.5-flash", "usageMetadata":
    {"promptTokenCount": 1000000, "candidatesTokenCount": 100000, "thoughtsTokenCount": 100000}}"""


def entries(job: Job) -> list[tuple[str, str, float | None]]:
    return [(one.kind, one.word, None if one.span is None else one.span.total_seconds()) for one in timeline(job)]


def cells_of(page: Any) -> list[str]:
    return [re.sub(r"\s+", " ", tag.text).strip() for tag in page.all("td")]


async def test_a_timeline_has_every_wait_and_its_reason(visit: Any) -> None:
    harness = (await visit()).harness
    job_id = await harness.submit("idle")
    assert entries(await harness.store.get(job_id)) == [("submitted", "", None), ("wait", "turn", None)]
    await harness.clock.advance(4)
    await harness.start(job_id)
    await harness.clock.advance(1)
    await harness.settle(job_id, Released("the daemon restarts"))
    await harness.clock.advance(2)
    await harness.start(job_id)
    await harness.clock.advance(3)
    await harness.settle(job_id, BROKEN)
    waiting = entries(await harness.store.get(job_id))
    assert waiting[-1] == ("wait", "backoff", None)
    await harness.clock.advance(20)
    await harness.settle(job_id, Postpone(timedelta(seconds=5), "the quota is used up"))
    await harness.clock.advance(6)
    await harness.settle(job_id, Completed({}))
    await harness.clock.advance(60)
    await harness.queue.retry(job_id)
    await harness.start(job_id)
    told = timeline(await harness.store.get(job_id))
    assert entries(await harness.store.get(job_id)) == [
        ("submitted", "", None),
        ("wait", "turn", 4),
        ("run", "interrupted", 1),
        ("wait", "interrupted", 2),
        ("run", "failed", 3),
        ("wait", "backoff", 20),
        ("run", "postponed", 0),
        ("wait", "postponed", 6),
        ("run", "completed", 0),
        ("wait", "again", 60),
        ("running", "", None),
    ]
    assert [one.text for one in told if one.text] == ["the daemon restarts", "no moov atom", "the quota is used up"]


async def test_a_timeline_has_the_phases_of_ended_runs_and_of_the_one_that_goes_on(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    job_id = await harness.submit("idle")

    async def run(*phases: str) -> Any:
        lease = await harness.start(job_id)
        for name in phases:
            now = harness.clock.now()
            await harness.store.change(
                job_id, lambda job, name=name, now=now: state.progress(job, 0.2, None, name, now)
            )
            await harness.clock.advance(7)
        return lease

    await run("probe", "encode")
    await harness.settle(job_id, BROKEN)
    await harness.clock.advance(20)
    await run("probe")
    assert [one for one in entries(await harness.store.get(job_id)) if one[0] in ("phase", "run")] == [
        ("run", "failed", 14), ("phase", "probe", 7), ("phase", "encode", 7), ("phase", "probe", None),
    ]  # fmt: skip
    page = await browser.open(f"/jobs/{job_id}")
    assert page.says("Phase encode") and page.says("7.0 s")
    twin = await harness.call("GET", f"/api/jobs/{job_id}")
    [attempt] = twin["attempts"]
    assert [(one["name"], one["duration"]) for one in attempt["phases"]] == [("probe", 7000), ("encode", 7000)]
    assert [(one["name"], one["duration"]) for one in twin["phases"]] == [("probe", None)]


async def test_a_timeline_says_that_its_beginning_is_forgotten(visit: Any) -> None:
    harness = (await visit()).harness
    job_id = await harness.submit("idle")
    for _ in range(51):
        await harness.settle(job_id, Released("the daemon restarts"))
        await harness.clock.advance(1)
    kinds = [one.kind for one in timeline(await harness.store.get(job_id))]
    assert kinds[:3] == ["submitted", "forgotten", "run"] and kinds.count("run") == 50


async def test_a_wait_for_other_jobs_says_so_and_leads_to_them(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    parent = await harness.submit("idle")
    child = await harness.submit("idle", dependsOn=[parent])
    assert entries(await harness.store.get(child))[-1] == ("wait", "parents", None)
    page = await browser.open(f"/jobs/{child}")
    assert page.says("It depends on") and page.all("a", href=f"/jobs/{parent}")
    page = await browser.open(f"/jobs/{parent}")
    assert page.says("These depend on it") and page.all("a", href=f"/jobs/{child}")


async def test_attempts_come_newest_first_with_their_errors(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    job_id = await harness.submit("idle", retryPolicy={"maxRetries": 1, "backoff": "fixed", "initialDelay": 0})
    await harness.settle(job_id, Failed(JobError("transient", "First", "<b>one</b>")))
    await harness.clock.advance(1)
    await harness.settle(job_id, Failed(JobError("transient", "Second", "two")))
    page = await browser.open(f"/jobs/{job_id}")
    cells = cells_of(page)
    assert cells[::5] == ["2", "1"]
    assert cells[4::5] == ["Second transienttwo", "First transient<b>one</b>"]
    assert page.says("failed") and page.says("it failed at")


async def test_steps_say_what_they_cost(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    job_id = await harness.submit("idle")
    lease, now = await harness.start(job_id), harness.clock.now()
    steps = harness.store.steps

    def move(job: Job) -> Any:
        return state.step_done(job, now)

    await steps.finish(lease, "frames", {"path": "/x"}, move, now)
    await steps.intend(lease, "recipe", now)
    await steps.finish(lease, "recipe", {"body": GEMINI}, move, now)
    await steps.intend(lease, "recipe-repair", now)
    page = await browser.open(f"/jobs/{job_id}")
    cells, spent = cells_of(page), ["1,000,000", "200,000", "$0.8000"]
    place = cells.index("recipe gemini-2.5-flash")
    assert cells[place + 1] == "done" and cells[place + 3 : place + 6] == spent
    assert cells[cells.index("recipe-repair") + 1] == "sent once, no answer yet"
    assert cells[-3:] == spent, "in all"


async def test_a_delivery_is_sent_again_by_an_operator_and_that_is_audited(visit: Any) -> None:
    browser = await signed_in(visit)
    harness = browser.harness
    job_id = await posted(browser, callback="https://hooks.example/done?token=geheim")
    await harness.settle(job_id)
    [row] = await harness.store.outbox.of_job(job_id)
    page = await browser.open(f"/jobs/{job_id}")
    assert page.says("https://hooks.example/done?token=***") and "geheim" not in str(page.tags)
    await harness.store.outbox.change(row.id, lambda one: dead(one, harness.clock.now()))
    page = await browser.open(f"/jobs/{job_id}")
    assert page.says("given up") and page.says("410 Gone")
    [form] = page.all("form", action=f"/jobs/{job_id}/deliveries/{row.id}")
    page = await browser.send(form.attributes["action"])
    assert browser.url == f"/jobs/{job_id}" and page.says("It is sent again now.") and page.says("on its way")
    [entry] = [one for one in await harness.store.audit.find(None, 9) if one.action == "delivery retry"]
    assert (entry.target, entry.detail) == (job_id, f"callback {row.id}")
    other = await posted(browser)
    await browser.send(f"/jobs/{other}/deliveries/{row.id}", status=404)
    reading = Browser(harness)
    await reading.sign_in(await key_of(browser, "read", "submit"))
    assert not (await reading.open(f"/jobs/{job_id}")).says("Send again")
    await reading.send(f"/jobs/{job_id}/deliveries/{row.id}", status=403)


def dead(row: Any, now: Any) -> Any:
    return replace(row, state="dead", attempts=3, last_status=410, last_error="Gone", finished_at=now, next_at=None)


async def posted(browser: Browser, type: str = "idle", key: str = "", **fields: Any) -> str:
    headers = {"Authorization": f"Bearer {key}"} if key else {"X-API-Key": "the-key-of-the-settings"}
    ask = {"type": type, "payload": {}} | fields
    answer = await browser.harness.call("POST", "/api/jobs", ask, status=201, headers=headers)
    return str(answer["jobId"])


async def test_each_try_of_a_delivery_is_on_the_page_newest_first_and_in_its_twin(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    job_id = await harness.submit("idle", callback="https://hooks.example/done")
    await harness.settle(job_id)
    [row] = await harness.store.outbox.of_job(job_id)
    now = harness.clock.now()
    for sent in (TryLater("the receiver answered 503", 503), Delivered(204)):
        settled = lambda one, sent=sent: settle(one, sent, timedelta(days=1), NoJitter(), now, timedelta(seconds=12))  # noqa: E731
        await harness.store.outbox.change(row.id, settled)
    page = await browser.open(f"/jobs/{job_id}")
    [told] = page.all("ol", **{"class": "tries"})
    assert told.text.index("204") < told.text.index("503 the receiver answered 503") and "12 s" in told.text
    [twin] = (await harness.call("GET", f"/api/jobs/{job_id}/deliveries"))["deliveries"]
    begun = instant(now - timedelta(seconds=12))
    assert twin["tries"] == [
        {"at": begun, "duration": 12000, "status": 503, "error": "the receiver answered 503"},
        {"at": begun, "duration": 12000, "status": 204, "error": None},
    ]


async def test_no_secret_of_a_job_is_on_its_page(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    address = "https://geheim:geheim@example.com/a.mp4?X-Amz-Signature=geheim"
    payload = {"inputPath": address, "headers": {"Authorization": "geheim"}, "cookies": "geheim"}
    job_id = await harness.submit("clip", payload)
    await harness.settle(job_id, Partial({"finalUrl": address}, [address]))
    page = await browser.open(f"/jobs/{job_id}")
    assert "geheim" not in str(page.tags)
    assert page.says("Type these anew, in place of ***: inputPath headers cookies")
    [curl] = page.all("pre", id="curl")
    assert '"https://***@example.com/a.mp4?X-Amz-Signature=***"' in curl.text and "X-API-Key: $API_KEY" in curl.text


async def test_a_key_sees_its_own_jobs_and_the_buttons_that_it_may_press(visit: Any) -> None:
    browser = await signed_in(visit)
    job_id = await posted(browser)
    assert (await browser.open(f"/jobs/{job_id}")).says("Cancel")
    reading = Browser(browser.harness)
    await reading.sign_in(await key_of(browser, "read"))
    page = await reading.open(f"/jobs/{job_id}")
    assert not page.says("Cancel") and not page.all("pre", id="curl")
    tenant, key = Browser(browser.harness), await key_of(browser, "submit", types=["idle"])
    await tenant.sign_in(key)
    await tenant.open(f"/jobs/{job_id}", status=404)
    await tenant.send(f"/jobs/{job_id}/deliveries/x", status=403)
    own = await posted(browser, key=key)
    page = await tenant.open(f"/jobs/{own}")
    [cancel] = [tag.attributes["href"] for tag in page.all("a") if tag.attributes.get("data-key") == "c"]
    assert (await tenant.open(cancel)).says("Cancel 1 job?")
    await tenant.send("/jobs/act", ("do", "cancel"), ("id", own), ("back", f"/jobs/{own}"))
    assert tenant.url == f"/jobs/{own}"
    page = await tenant.open(f"/jobs/{own}")
    assert [tag.attributes["data-key"] for tag in page.all("a") if "data-key" in tag.attributes] == ["r"]


class Shelf(JobArtifacts):
    """One whose listing is said by the test."""

    files: Sequence[ArtifactFile] = ()
    asked = 0
    away = False

    async def of(self, job: Job) -> Sequence[ArtifactFile]:
        self.asked += 1
        if self.away:
            raise StorageAway("S3 has not answered within 10 s")
        return self.files


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    (tmp_path / "media").mkdir()
    return Shelf(LocalFiles([tmp_path / "media"], log=folder_log()), WorkFolders(tmp_path / "data").log_of, {})


async def test_what_a_job_wrote_is_shown_in_place(visit: Any, shelf: Shelf, tmp_path: Path) -> None:
    browser = await visit(artifacts=shelf)
    job_id = await browser.harness.submit()
    log = WorkFolders(tmp_path / "data").log_of(job_id)
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"line {n} of https://example.com/?key=geheim\n" for n in range(2000)))
    assert (await browser.open(f"/jobs/{job_id}")).says("line 1999") and shelf.asked == 0, "it has ended with nothing"
    await browser.harness.settle(job_id)
    shelf.files = [
        ArtifactFile("job.log", 9), ArtifactFile("master.m3u8", 9), ArtifactFile("360p/index 1.m3u8", 9),
        ArtifactFile("a.jpg", 9), ArtifactFile("a.vtt", 9), ArtifactFile("far.jpg", 9, away=True),
        ArtifactFile("b.mp4", 2048), ArtifactFile("c.m4a", 9),
    ]  # fmt: skip
    page = await browser.open(f"/jobs/{job_id}")
    base = f"/api/jobs/{job_id}/artifacts"
    assert [tag.attributes["src"] for tag in page.all("img")][1:] == [f"{base}/a.jpg"]
    assert [tag.attributes["src"] for tag in page.all("video")] == [
        f"{base}/master.m3u8",
        f"{base}/b.mp4",
    ] and page.says("2.0 KiB")
    assert [tag.attributes["src"] for tag in page.all("audio")] == [f"{base}/c.m4a"]
    for name in ("a.vtt", "far.jpg", "360p/index%201.m3u8", "master.m3u8", "job.log"):
        assert page.all("a", href=f"{base}/{name}"), name
    [tail] = page.all("pre", **{"class": "log"})
    assert len(tail.text.splitlines()) == 80 and "geheim" not in tail.text
    await browser.open(f"/jobs/{job_id}")
    assert shelf.asked == 1, "it may lie in a bucket: it is not asked for at each look"
    await browser.harness.clock.advance(31)
    shelf.away = True
    assert (await browser.open(f"/jobs/{job_id}")).says("S3 has not answered within 10 s")
