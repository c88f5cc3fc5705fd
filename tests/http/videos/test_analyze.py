from typing import Any

import pytest

from secondunit.handlers.locations.strategy import location_strategy, video_id
from secondunit.queue.model import Status
from secondunit.queue.outcome import Failed, JobError
from tests.http.videos.guide import ANALYZE, HOW, PLACES, ROUTE, SHILIN, URL, VIDEO, Guide

KEY = {"Authorization": "Bearer s3cret"}


@pytest.mark.parametrize("field", ["url", "video_url"])
async def test_a_video_is_taken_under_either_name(guide: Guide, field: str) -> None:
    body: dict[str, Any] = {field: URL}
    answer = await guide.ask(**body)
    job = await guide.harness.queue.get(answer["job_id"])
    assert answer == {"job_id": job.id, "video_id": VIDEO, "status": "queued", "cached": False, **HOW}
    assert (job.type, job.payload) == ("locations", {"videoUrl": URL})


async def test_another_address_is_named_by_its_digest(guide: Guide) -> None:
    url = "HTTPS://Videos.example:443/taipei?utm_source=x"
    assert (await guide.ask(url=url))["video_id"] == video_id("https://videos.example/taipei")


async def test_parameters_are_handed_on(guide: Guide) -> None:
    answer = await guide.ask(url=URL, params={"language": "de", "model": "gemini-other"})
    job = await guide.harness.queue.get(answer["job_id"])
    assert job.payload["params"] == {"language": "de", "model": "gemini-other"}
    shown = await guide.harness.call("GET", f"/api/jobs/{job.id}")
    assert shown["strategy_version"] == location_strategy("gemini-other", "de")


async def test_what_is_known_is_answered_without_a_job(guide: Guide) -> None:
    maker = (await guide.ask())["job_id"]
    await guide.end(maker)
    answer = await guide.ask(200, video_url="https://youtu.be/dQw4w9WgXcQ")
    assert answer == {"job_id": maker, "video_id": VIDEO, "status": "done", "cached": True, **HOW}
    assert await guide.jobs() == 1


async def test_a_partial_result_is_known_as_partial(guide: Guide) -> None:
    maker = (await guide.ask())["job_id"]
    await guide.end(maker, SHILIN)
    assert await guide.ask(200) == {"job_id": maker, "video_id": VIDEO, "status": "partial", "cached": True, **HOW}


async def test_what_is_known_is_answered_while_nothing_new_can_be_made(guide: Guide) -> None:
    await guide.end((await guide.ask())["job_id"])
    other = {"url": URL, "params": {"language": "fr"}}
    guide.harness.queue.draining = True
    assert "shutting down" in (await guide.ask(503, **other))["detail"]
    guide.missing = "set GEMINI_API_KEY"
    assert (await guide.ask(200))["cached"] is True
    assert (await guide.harness.call("GET", PLACES))["routes"] == [ROUTE]
    assert "GEMINI_API_KEY" in (await guide.ask(422, **other))["detail"]


async def test_a_live_twin_stands_for_all_who_ask(guide: Guide) -> None:
    first = await guide.ask()
    assert await guide.ask() == first
    await guide.harness.start(first["job_id"])
    assert await guide.ask(video_url=f"{URL}&t=3") == first | {"status": "running"}
    other = await guide.ask(url=URL, params={"language": "de"})
    assert other["job_id"] != first["job_id"]
    assert await guide.jobs() == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": 7}, "url"),
        ({"video_url": None}, "url"),
        ({"video_url": 7}, "video_url"),
        ({"videoUrl": URL}, "videoUrl"),
        ({"url": URL, "video_url": URL}, "video_url"),
        ({"url": "https://[half"}, "url"),
        ({"video_url": "http://10.0.0.1/a"}, "video_url"),
        ({"url": URL, "language": "de"}, "language"),
        ({"url": URL, "params": []}, "params"),
        ({"url": URL, "params": {"frames": 3}}, "params.frames"),
        ({"url": URL, "params": {"language": 3}}, "params.language"),
        ({"url": URL, "params": {"language": "not a language"}}, "params.language"),
        ({"url": URL, "params": {"model": ""}}, "params.model"),
    ],
)
async def test_what_does_not_fit_is_refused_under_the_callers_own_name(
    guide: Guide, body: dict[str, Any], field: str
) -> None:
    problem = await guide.harness.call("POST", ANALYZE, body, status=422)
    assert [fault["field"] for fault in problem["errors"]] == [field]
    assert await guide.jobs() == 0


async def test_ten_videos_are_taken_as_one_batch(guide: Guide) -> None:
    jobs = [{"type": "locations", "payload": {"videoUrl": f"https://videos.example/{n}"}} for n in range(10)]
    stored = await guide.harness.call("POST", "/api/jobs/batch", {"jobs": jobs}, status=201)
    assert len({job["jobId"] for job in stored["jobs"]}) == 10


async def test_calls_need_the_scopes_of_their_neighbours(build: Any) -> None:
    guide = Guide()
    guide.harness = await build(specs=[guide.spec], api_key="s3cret")
    for method, path in (("POST", ANALYZE), ("GET", PLACES), ("POST", f"{PLACES}/retry")):
        await guide.harness.call(method, path, {"url": URL} if path == ANALYZE else None, status=401)
    await guide.harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=KEY)


async def test_a_job_that_ended_is_not_joined(guide: Guide) -> None:
    first = (await guide.ask())["job_id"]
    await guide.harness.settle(first, Failed(JobError("deterministic", "no_subtitles", "it has none")))
    second = await guide.ask()
    assert second["job_id"] != first and (await guide.harness.queue.get(first)).status is Status.FAILED


async def test_several_videos_are_answered_in_their_order(guide: Guide) -> None:
    known = (await guide.ask())["job_id"]
    await guide.end(known)
    urls = ["https://videos.example/a", URL, "https://videos.example/b", "https://VIDEOS.example/a"]
    videos = (await guide.ask(urls=urls))["videos"]
    assert [video["video_id"] for video in videos] == [video_id(url) for url in urls]
    assert [(video["status"], video["cached"]) for video in videos] == [
        ("queued", False), ("done", True), ("queued", False), ("queued", False),
    ]  # fmt: skip
    assert videos[1]["job_id"] == known and videos[0] == videos[3]
    assert (await guide.jobs(), (await guide.harness.queue.get(videos[0]["job_id"])).sharers) == (3, 1)
    assert await guide.ask(200, urls=[URL]) == {"videos": [videos[1]]}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"urls": []}, ["urls"]),
        ({"urls": [URL] * 101}, ["urls"]),
        ({"urls": URL}, ["urls"]),
        ({"urls": [URL, 7, ""]}, ["urls.1", "urls.2"]),
        ({"urls": [URL], "url": URL}, ["urls"]),
        ({"urls": [URL, "https://[half", "https://[half"]}, ["urls.1", "urls.2"]),
        ({"urls": [URL, "http://10.0.0.1/a", "http://10.0.0.1/b"]}, ["urls.1", "urls.2"]),
        ({"urls": [URL, URL], "params": {"language": "not a language"}}, ["params.language"]),
    ],
)
async def test_several_videos_are_taken_all_or_none_and_each_fault_is_named(
    guide: Guide, body: dict[str, Any], fields: list[str]
) -> None:
    assert list(await guide.harness.refused("POST", ANALYZE, body)) == fields
    assert await guide.jobs() == 0
