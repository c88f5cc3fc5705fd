"""The page of one job: its deliveries, what it wrote, and nothing that is secret."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secondunit.daemon.delivery.policy import Delivered, TryLater, settle
from secondunit.daemon.files.artifacts import ArtifactFile, JobArtifacts, StorageAway
from secondunit.daemon.formats import instant
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.storage.workspace import WorkFolders
from secondunit.queue.model import Job
from secondunit.queue.outcome import Partial
from secondunit.queue.value import replace
from secondunit.testing.folder_log import folder_log
from secondunit.testing.jobs import NoJitter
from tests.http.dashboard.browser import Browser
from tests.http.dashboard.sessions import key_of, posted, signed_in


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
