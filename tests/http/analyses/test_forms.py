"""Videos and addresses that are sent in, in every form; what does not fit is refused by its field."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import FormData

from tests.http.analyses.kitchen import PAID, RECIPE, URL, VIDEO, Kitchen, Payload, raw_request, video


async def test_an_upload_is_answered_with_its_recipe(kitchen: Kitchen) -> None:
    kitchen.endings.put_nowait("well")
    answer = await kitchen.post(data=video(language="de"))
    [(job_id, payload)] = kitchen.started
    assert answer == {"jobId": job_id, "recipe": RECIPE, "metadata": {"cached": False, "language": "de", **PAID}}
    assert payload.video_path == str(kitchen.folder / hashlib.sha256(VIDEO).hexdigest())
    job = await kitchen.harness.call("GET", f"/api/jobs/{job_id}")
    assert (job["type"], job["priority"], job["status"]) == ("analyze", 0, "completed")


@pytest.mark.parametrize(
    "sent",
    [
        {"data": {"video_url": URL, "language": "de"}},
        {"data": FormData({"video_url": URL, "language": "de"}, default_to_multipart=True)},
        {"json": {"video_url": URL, "language": "de"}},
    ],
    ids=["urlencoded", "multipart", "json"],
)
async def test_an_address_comes_in_whichever_way_the_caller_likes(kitchen: Kitchen, sent: dict[str, Any]) -> None:
    kitchen.endings.put_nowait("well")
    assert (await kitchen.post("/analyze-from-url", **sent))["recipe"] == RECIPE
    assert kitchen.started[0][1] == Payload.model_validate({"videoUrl": URL, "language": "de"})


@pytest.mark.parametrize(
    ("form", "field", "says"),
    [
        (FormData({"language": "de"}, default_to_multipart=True), "video", "required"),
        (video(b""), "video", "empty"),
        (FormData({"video": "@soup.mp4"}, default_to_multipart=True), "video", "text field"),
        (video(film="noir"), "film", "unknown field"),
        (video(field="file"), "file", "unknown field"),
        (video(language="x" * 9000), "language", "longer than"),
    ],
    ids=["no video", "empty", "no file", "unknown field", "misnamed", "long"],
)
async def test_a_form_that_does_not_fit_is_refused_by_field(
    kitchen: Kitchen, form: FormData, field: str, says: str
) -> None:
    problem = await kitchen.post(data=form, status=422)
    [fault] = problem["errors"]
    assert fault["field"] == field and says in fault["message"]
    await kitchen.harness.until(lambda: kitchen.kept() == [])


async def test_two_videos_in_one_form_are_refused(kitchen: Kitchen) -> None:
    form = video()
    form.add_field("video", b"another", filename="b.mp4")
    problem = await kitchen.post(data=form, status=422)
    assert problem["errors"] == [{"field": "video", "message": "stands twice in the form"}]
    await kitchen.harness.until(lambda: kitchen.kept() == [])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "video_url"),
        ({"video_url": ""}, "video_url"),
        ({"video_url": 7}, "video_url"),
        ({"video_url": "https://[half"}, "video_url"),
        ({"video_url": "http://10.0.0.1/a.mp4"}, "video_url"),
        ({"video_url": URL, "language": 7}, "language"),
        ({"video_url": URL, "frames": 3}, "frames"),
    ],
)
async def test_an_address_that_does_not_fit_is_refused_by_field(
    kitchen: Kitchen, body: dict[str, Any], field: str
) -> None:
    problem = await kitchen.post("/analyze-from-url", json=body, status=422)
    assert [fault["field"] for fault in problem["errors"]] == [field]
    assert kitchen.started == []


async def test_forms_for_addresses_are_held_to_the_same(kitchen: Kitchen) -> None:
    twice = [("video_url", URL), ("video_url", URL)]
    unknown, missing = {"video_url": URL, "frames": "3"}, {"language": "de"}
    for sent, field in ((unknown, "frames"), (twice, "video_url"), (missing, "video_url")):
        problem = await kitchen.post("/analyze-from-url", data=FormData(sent), status=422)
        assert [fault["field"] for fault in problem["errors"]] == [field]


async def test_a_form_with_an_address_is_no_way_to_send_much(kitchen: Kitchen) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"video_url="
        while True:
            yield bytes(65536)

    with suppress(aiohttp.ClientConnectionError):  # or it was still sending when the door was shut
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        problem = await kitchen.post("/analyze-from-url", data=endless(), headers=form, status=413)
        assert "bodies of up to" in problem["detail"]
    async with raw_request(kitchen, "Content-Length: 2000000", path="/analyze-from-url") as (reader, _):
        assert b" 413 " in await reader.readline()


@pytest.mark.parametrize("charset", ["punycode", "idna", "hex", "latin-1", "(", "", 'x"' * 3000])
async def test_a_form_in_another_charset_than_utf_8_is_refused_unread(kitchen: Kitchen, charset: str) -> None:
    kind = {"Content-Type": f"application/x-www-form-urlencoded; charset={charset}"}
    problem = await kitchen.post("/analyze-from-url", data=b"video_url=%C3%A9&frames=1", headers=kind, status=415)
    assert "send the form as UTF-8" in problem["detail"]


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf8"'])
async def test_a_form_may_say_that_it_is_utf_8(kitchen: Kitchen, charset: str) -> None:
    kind = {"Content-Type": f"application/x-www-form-urlencoded; charset={charset}"}
    problem = await kitchen.post("/analyze-from-url", data=b"video_url=%C3%A9&frames=1", headers=kind, status=422)
    assert [fault["field"] for fault in problem["errors"]] == ["frames"]


@pytest.mark.parametrize("body", [b"a&" * 30_000, b"video_url=%FF", b"video_url=\xff"])
async def test_a_form_that_is_none_is_refused(kitchen: Kitchen, body: bytes) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    problem = await kitchen.post("/analyze-from-url", data=body, headers=form, status=400)
    assert problem["type"].endswith(":broken-form")


async def test_an_address_of_a_megabyte_is_refused_before_it_is_taken_apart(kitchen: Kitchen) -> None:
    address = {"video_url": "https://video.example/?" + "a&" * 400_000}
    problem = await kitchen.post("/analyze-from-url", json=address, status=422)
    assert "a URL may have 8192 characters" in problem["errors"][0]["message"]


async def test_an_address_in_another_content_type_is_refused(kitchen: Kitchen) -> None:
    sent = {"data": f"video_url={URL}", "headers": {"Content-Type": "text/plain"}}
    problem = await kitchen.post("/analyze-from-url", **sent, status=415)
    assert problem["detail"] == "the Content-Type is text/plain; send the body as application/json"
    assert kitchen.started == []


async def test_another_content_type_is_refused_and_told_which_is_meant(kitchen: Kitchen) -> None:
    problem = await kitchen.post(data=VIDEO, headers={"Content-Type": "video/mp4"}, status=415)
    assert problem["detail"] == "the Content-Type is video/mp4; send multipart/form-data with a file field video"
    assert kitchen.started == [] and kitchen.kept() == []
