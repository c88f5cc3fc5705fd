"""The submit form: made from the payload's schema, its faults at their fields, and an earlier job run again."""

from pathlib import Path
from typing import Any

from aiohttp import FormData

from secondunit.daemon.dashboard.one_job.schema_form import content_of, fields_of, typed
from secondunit.handlers.thumbnail.payload import ThumbnailPayload
from tests.http.analyses.kitchen import Kitchen
from tests.http.dashboard.browser import HTML, OURS, Browser
from tests.http.dashboard.sessions import key_of, posted, signed_in

CALLBACK = "https://hooks.example/done?token=geheim"


def thumbnail(**form: str) -> Any:
    fields = fields_of(ThumbnailPayload.model_json_schema(), (), ("payload",))
    content, faults = content_of(typed(fields, {f"payload.{name}": text for name, text in form.items()}))
    return content.get("payload"), [fault.field for fault in faults]


def test_what_is_typed_becomes_what_the_schema_wants() -> None:
    assert thumbnail() == (None, [])
    assert thumbnail(videoPath=" /a ", width="640", timestamp="1.5", timestamps="1\n00:02\n\n") == (
        {"videoPath": "/a", "width": 640, "timestamp": 1.5, "timestamps": [1, "00:02"]},
        [],
    )
    assert thumbnail(timestamp="00:01:30", quality="high") == ({"timestamp": "00:01:30", "quality": "high"}, [])
    assert thumbnail(**{"sprite.columns": "4"}) == ({"sprite": {"columns": 4}}, [])


def test_what_is_no_json_is_said_at_its_field() -> None:
    fields = fields_of({"properties": {"a": {"type": "object"}, "b": {"type": "boolean"}}})
    content, faults = content_of(typed(fields, {"a": "{,", "b": "true"}))
    assert content == {"b": True} and [fault.field for fault in faults] == ["a"]
    assert content_of(typed(fields, {"a": "[" * 9999}))[1][0].field == "a"


async def test_a_job_is_submitted_with_all_that_was_typed(visit: Any) -> None:
    browser = await visit()
    page = await browser.open("/submit")
    assert page.all("a", href="/submit?type=clip") and (await browser.open("/jobs")).all("a", href="/submit")
    page = await browser.open("/submit?type=clip")
    assert page.all("input", name="payload.inputPath")[0].attributes["required"] == ""
    assert page.all("input", name="payload.cookies", type="password")
    fields = [
        ("type", "clip"), ("payload.inputPath", "/a"), ("payload.width", "64"), ("payload.headers", '{"a": "b"}'),
        ("priority", "0"), ("callback", "https://hooks.example/x"), ("retryPolicy.maxRetries", "1"),
        ("Idempotency-Key", "once"),
    ]  # fmt: skip
    page = await browser.send("/submit", *fields)
    assert page.says("The job is submitted.")
    job = await browser.harness.store.get(browser.url.removeprefix("/jobs/"))
    assert (job.payload, job.priority) == ({"inputPath": "/a", "width": 64, "headers": {"a": "b"}}, 0)
    assert job.retry.max_retries == 1 and job.target and job.target.address == "https://hooks.example/x"
    page = await browser.send("/submit", *fields)
    assert browser.url == f"/jobs/{job.id}" and page.says("That job was there already.")
    page = await browser.send("/submit", *fields, ("timeoutSeconds", "5"), status=422)
    assert page.says("send a new key for a new request")


async def test_faults_stand_at_their_fields_and_what_was_typed_stays_but_no_secret(visit: Any) -> None:
    browser = await visit()
    page = await browser.send(
        "/submit", ("type", "clip"), ("payload.inputPath", "/outside"), ("payload.width", "wide"), ("runAt", "soon"),
        ("payload.cookies", "geheim"), status=422,
    )  # fmt: skip
    assert page.says("should be an ISO 8601 time")
    page = await browser.send(
        "/submit", ("type", "clip"), ("payload.inputPath", "/outside"), ("payload.cookies", "geheim"), status=422
    )
    [path] = page.all("input", name="payload.inputPath")
    assert (path.attributes["value"], path.attributes["aria-invalid"]) == ("/outside", "true")
    [hint] = page.all("div", id="payload.inputPath-hint")
    assert "lies outside of MEDIA_ROOTS" in hint.text
    assert "geheim" not in str(page.tags) and page.says("type it anew, or the job does without")
    page = await browser.send("/submit", ("type", "paid"), status=422)
    assert page.says("set GEMINI_API_KEY")


async def test_a_job_is_run_again_with_changes_and_its_secrets_typed_anew(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    payload = {"inputPath": "https://a.example/x?sig=geheim", "cookies": "geheim", "width": 7}
    old = await harness.submit("clip", payload, callback=CALLBACK, priority=4)
    page = await browser.open(f"/jobs/{old}")
    [link] = [tag.attributes["href"] for tag in page.all("a") if "again=" in tag.attributes.get("href", "")]
    page = await browser.open(link)
    values = {name: page.all("input", name=name)[0].attributes["value"] for name in (
        "payload.inputPath", "payload.cookies", "payload.width", "callback", "priority",
    )}  # fmt: skip
    assert list(values.values()) == [
        "https://a.example/x?sig=***",
        "",
        "7",
        "https://hooks.example/done?token=***",
        "4",
    ]
    assert "geheim" not in str(page.tags)
    form = [("type", "clip"), ("again", old), *values.items()]
    page = await browser.send("/submit", *form, status=422)
    assert page.says("type it anew: *** stands for what is not shown")
    assert (await harness.store.get(old)).status == "queued"
    changed = dict(form) | {"payload.inputPath": "/b", "callback": ""}
    await browser.send("/submit", *changed.items())
    new = await harness.store.get(browser.url.removeprefix("/jobs/"))
    assert new.id != old and new.payload == {"inputPath": "/b", "width": 7} and new.priority == 4
    page = await browser.open(f"/jobs/{new.id}")
    assert page.says("Run again from") and page.all("a", href=f"/jobs/{old}")


async def test_a_key_submits_its_own_types_and_sees_no_other_ones_jobs(visit: Any) -> None:
    browser = await signed_in(visit)
    job_id = await posted(browser)
    tenant = Browser(browser.harness)
    await tenant.sign_in(await key_of(browser, "submit", types=["idle"]))
    page = await tenant.open("/submit")
    assert [tag.attributes["href"] for tag in page.all("a") if "?type=" in tag.attributes["href"]] == [
        "/submit?type=idle"
    ]
    await tenant.open("/submit?type=clip", status=403)
    await tenant.send("/submit", ("type", "clip"), ("payload.inputPath", "/a"), status=403)
    await tenant.open(f"/submit?again={job_id}", status=404)
    await tenant.send("/submit", ("type", "idle"), ("again", job_id), status=404)
    await tenant.send("/submit", ("type", "idle"))
    own = await browser.harness.store.get(tenant.url.removeprefix("/jobs/"))
    assert own.owner is not None
    reading = Browser(browser.harness)
    await reading.sign_in(await key_of(browser, "read"))
    await reading.open("/submit", status=403)
    assert not (await reading.open("/jobs")).all("a", href="/submit")
    await reading.send("/submit", ("type", "idle"), status=403)


async def test_a_video_is_sent_from_the_form_of_the_type_that_takes_one(visit: Any, tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path)
    browser = await visit(specs=[kitchen.spec], analyses=kitchen.analyses)
    page = await browser.open("/submit?type=analyze")
    [form] = page.all("form", action="/submit/upload")
    assert form.attributes["enctype"] == "multipart/form-data" and page.all("input", name="video", type="file")
    sent = FormData()
    sent.add_field("language", "")
    sent.add_field("video", b"a film", filename="soup.mp4")
    answer = await browser.harness.raw("POST", "/submit/upload", data=sent, headers=HTML | OURS, allow_redirects=False)
    assert answer.status == 303, await answer.text()
    job = await browser.harness.store.get(answer.headers["Location"].removeprefix("/jobs/"))
    assert job.type == "analyze" and "videoPath" in job.payload
