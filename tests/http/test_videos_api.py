"""The places of a video over HTTP: hits, twins, refusals by field, stored results, and what failed tried again."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from secondunit.handlers.locations.strategy import latest_key, location_strategy, locations_key, video_id
from secondunit.queue import state
from secondunit.queue.errors import BadPayload, FieldError, TypeUnavailable
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.model import Filter, Status, Submission
from secondunit.queue.outcome import Completed, Failed, JobError, Partial, Postpone

URL = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
VIDEO = "dQw4w9WgXcQ"
ANALYZE = "/api/videos/analyze"
PLACES = f"/api/videos/{VIDEO}/locations"
MODEL = "gemini-test"
NOW = location_strategy(MODEL, None)
HOW = {"strategy_version": NOW}
ROUTE = {
    "location": "Taipei 101",
    "coordinates": [121.5645, 25.0339],
    "description": "the view at night",
    "timecode": "00:05:12,000",
    "tags": ["landmark"],
    "marker": "poi",
}
SHILIN = {"raw": "Shilin Night", "reason": "not_found"}
STATS = {"tokens_in": 900, "tokens_out": 80, "locations_found": 1}
LAST_UPDATED = 1893456000
KEY = {"Authorization": "Bearer s3cret"}


class Params(BaseModel):
    language: Annotated[str, Field(pattern="^[a-z-]{2,8}$")] | None = None
    model: str | None = None


class Payload(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    video_url: str
    params: Params | None = None


class Guide:
    """A harness that serves `locations`, whose runs the tests make themselves."""

    def __init__(self) -> None:
        self.harness: Any = None
        self.missing: str | None = None

    @property
    def spec(self) -> HandlerSpec:
        return HandlerSpec("locations", Payload, self._run, check=self._check)

    def _check(self, payload: Payload) -> None:
        if self.missing:
            raise TypeUnavailable("locations", self.missing)
        if "10.0.0.1" in payload.video_url:
            raise BadPayload(FieldError("videoUrl", "10.0.0.1 is a private address (ALLOW_PRIVATE_ADDRESSES)"))

    async def _run(self, ctx: JobContext, payload: Payload) -> None:
        raise AssertionError("tests move jobs themselves")

    async def ask(self, status: int = 202, **body: Any) -> Any:
        """The answer to the question for a video's places."""
        return await self.harness.call("POST", ANALYZE, body or {"url": URL}, status=status)

    async def end(self, job_id: str, *failed: Mapping[str, Any], strategy: str = NOW) -> None:
        """Let the job end with one place found and these failed, its result stored as the job type does it."""
        result = {
            "video_id": VIDEO,
            "strategy_version": strategy,
            "routes": [ROUTE],
            "failed": list(failed),
            "retryable": bool(failed),
            "last_updated": LAST_UPDATED,
            "stats": STATS,
            "attribution": "OpenStreetMap contributors",
        }
        results = self.harness.api.locations.results
        lease = await self.harness.start(job_id)
        await results.put(locations_key(VIDEO, strategy), result, job_id)
        await results.put(latest_key(VIDEO), {"strategy": strategy}, job_id)
        now = self.harness.clock.now()
        await self.harness.store.change(job_id, lambda job: state.with_stats(job, STATS, now), lease=lease)
        await self.harness.settle(job_id, Partial(result, failed) if failed else Completed(result))

    async def jobs(self) -> int:
        """How many jobs there are."""
        return int((await self.harness.queue.find(Filter())).total)


@pytest.fixture
async def guide(build: Any) -> Guide:
    guide = Guide()
    guide.harness = await build(specs=[guide.spec])
    return guide


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


async def test_a_result_is_read_as_a_map(guide: Guide) -> None:
    await guide.harness.call("GET", PLACES, status=404)
    await guide.end((await guide.ask())["job_id"])
    assert await guide.harness.call("GET", PLACES) == {"video_id": VIDEO, "routes": [ROUTE], **HOW}
    head = await guide.harness.raw("HEAD", PLACES)
    assert (head.status, await head.read()) == (200, b"")


async def test_a_partial_result_names_what_failed(guide: Guide) -> None:
    await guide.end((await guide.ask())["job_id"], SHILIN)
    assert await guide.harness.call("GET", PLACES) == {
        "video_id": VIDEO, "routes": [ROUTE], "failed": [SHILIN], "retryable": True,
        "last_updated": LAST_UPDATED, **HOW,
    }  # fmt: skip


async def test_what_was_asked_without_a_language_comes_before_the_latest_and_a_named_one_before_both(
    guide: Guide,
) -> None:
    german = location_strategy(MODEL, "de")
    await guide.end((await guide.ask(url=URL, params={"language": "de"}))["job_id"], SHILIN, strategy=german)
    assert "failed" in await guide.harness.call("GET", PLACES)
    await guide.harness.call("GET", f"{PLACES}?strategy={NOW}", status=404)
    await guide.end((await guide.ask())["job_id"])
    await guide.harness.store.cache.drop(latest_key(VIDEO))
    assert "failed" not in await guide.harness.call("GET", PLACES)
    assert "failed" in await guide.harness.call("GET", f"{PLACES}?strategy={german}")
    await guide.harness.call("GET", f"{PLACES}?strategy=00000000", status=404)


@pytest.mark.parametrize(
    ("query", "field", "says"),
    [
        ("strategy=latest", "strategy", "should match"),
        ("strategy=", "strategy", "should match"),
        ("strategy=0000000G", "strategy", "should match"),
        (f"strategy={NOW}0", "strategy", "should match"),
        ("by=00000000", "by", "unknown field"),
    ],
)
async def test_a_strategy_that_is_none_is_refused_by_its_name(guide: Guide, query: str, field: str, says: str) -> None:
    await guide.end((await guide.ask())["job_id"])
    faults = await guide.harness.refused("GET", f"{PLACES}?{query}")
    assert list(faults) == [field] and says in faults[field]


async def test_what_failed_is_tried_again_by_the_job_that_made_the_result(guide: Guide) -> None:
    maker = (await guide.ask())["job_id"]
    await guide.end(maker, SHILIN)
    assert await guide.harness.call("POST", f"{PLACES}/retry", status=202) == {
        "job_id": maker,
        "status": "queued",
        **HOW,
    }
    await guide.harness.start(maker)
    assert await guide.harness.call("POST", f"{PLACES}/retry", status=202) == {
        "job_id": maker,
        "status": "running",
        **HOW,
    }
    await guide.end(maker)
    problem = await guide.harness.call("POST", f"{PLACES}/retry", status=409)
    assert "no place failed" in problem["detail"]


async def test_a_retry_that_failed_as_a_whole_can_be_retried(guide: Guide) -> None:
    maker = (await guide.ask())["job_id"]
    await guide.end(maker, SHILIN)
    await guide.harness.call("POST", f"{PLACES}/retry", status=202)
    await guide.harness.settle(maker, Failed(JobError("deterministic", "broken", "it broke")))
    assert (await guide.harness.call("GET", PLACES))["failed"] == [SHILIN]
    assert await guide.harness.call("POST", f"{PLACES}/retry", status=202) == {
        "job_id": maker,
        "status": "queued",
        **HOW,
    }


async def test_two_who_ask_for_a_retry_at_once_get_the_same_one(guide: Guide) -> None:
    maker = (await guide.ask())["job_id"]
    await guide.end(maker, SHILIN)
    asked = [guide.harness.call("POST", f"{PLACES}/retry", status=202) for _ in range(5)]
    assert {answer["job_id"] for answer in await asyncio.gather(*asked)} == {maker}
    assert (await guide.harness.queue.counts()).queued == {"locations": 1}


async def test_what_a_job_made_by_hand_missed_is_tried_again_too(guide: Guide) -> None:
    maker = await guide.harness.submit("locations", {"videoUrl": URL})
    await guide.end(maker, SHILIN)
    for _ in range(2):
        assert await guide.harness.call("POST", f"{PLACES}/retry", status=202) == {
            "job_id": maker,
            "status": "queued",
            **HOW,
        }


async def test_a_retry_joins_the_twin_that_does_the_same_work(guide: Guide) -> None:
    maker = (await guide.ask())["job_id"]
    await guide.end(maker, SHILIN)
    key = (await guide.harness.queue.get(maker)).dedupe_key
    twin, _ = await guide.harness.queue.submit(Submission("locations", {"videoUrl": URL}, dedupe_key=key))
    answer = await guide.harness.call("POST", f"{PLACES}/retry", status=202)
    assert answer == {"job_id": twin.id, "status": "queued", **HOW}


async def test_a_box_that_does_not_serve_the_type_refuses(harness: Any) -> None:
    for path, body in ((ANALYZE, {"url": URL}), (f"{PLACES}/retry", None)):
        faults = await harness.refused("POST", path, body)
        assert faults == {"type": "unknown job type 'locations'; known are clip, idle, paid"}
    assert (await harness.store.counts()).queued == {}


async def test_there_is_nothing_to_retry_of_a_video_that_is_not_known(guide: Guide) -> None:
    problem = await guide.harness.call("POST", f"{PLACES}/retry", status=404)
    assert VIDEO in problem["detail"] and ANALYZE in problem["detail"]
    assert await guide.jobs() == 0


async def test_the_job_is_shown_in_the_words_of_those_who_asked(guide: Guide) -> None:
    job_id = (await guide.ask())["job_id"]
    shown = await guide.harness.call("GET", f"/api/jobs/{job_id}")
    assert shown["stats"] == {"tokens_in": 0, "tokens_out": 0, "locations_found": 0}
    expected = {"job_id": job_id, "jobId": job_id, "video_id": VIDEO, "strategy_version": NOW, "status": "queued"}
    assert expected.items() <= shown.items()
    assert shown["created_at"] == shown["updated_at"] == int(guide.harness.clock.now().timestamp())
    await guide.end(job_id)
    shown = await guide.harness.call("GET", f"/api/jobs/{job_id}")
    assert (shown["status"], shown["progress"]) == ("done", 100)
    assert shown["stats"] == STATS


async def test_a_cancelled_job_is_spelled_as_trailtag_does(guide: Guide) -> None:
    job_id = (await guide.ask())["job_id"]
    await guide.harness.call("DELETE", f"/api/jobs/{job_id}")
    assert (await guide.harness.call("GET", f"/api/jobs/{job_id}"))["status"] == "canceled"


async def test_lists_and_jobs_made_elsewhere_keep_the_usual_words(guide: Guide) -> None:
    asked = (await guide.ask())["job_id"]
    await guide.end(asked)
    other = await guide.harness.submit("locations", {"videoUrl": URL})
    await guide.harness.settle(other)
    listed = await guide.harness.call("GET", "/api/jobs")
    assert {job["jobId"]: job["status"] for job in listed["jobs"]} == {asked: "completed", other: "completed"}
    shown = await guide.harness.call("GET", f"/api/jobs/{other}")
    assert shown["status"] == "completed" and "job_id" not in shown and shown["stats"] is None


async def test_the_command_line_is_told_in_the_usual_words(build: Any) -> None:
    guide = Guide()
    guide.harness = await build(specs=[guide.spec], trusted=True)
    job_id = (await guide.ask())["job_id"]
    await guide.end(job_id)
    shown = await guide.harness.call("GET", f"/api/jobs/{job_id}")
    assert shown["status"] == "completed" and "job_id" not in shown


async def test_what_a_job_made_by_hand_found_is_known_here(guide: Guide) -> None:
    maker = await guide.harness.submit("locations", {"videoUrl": URL})
    await guide.end(maker)
    assert await guide.ask(200) == {"job_id": maker, "video_id": VIDEO, "status": "done", "cached": True, **HOW}


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


async def test_the_map_is_that_of_the_last_analyze_in_its_language(guide: Guide) -> None:
    ways = [({}, None), ({"model": "models/other"}, None), ({"language": "de"}, "de")]
    made = {}
    for params, language in ways:
        how = location_strategy(str(params.get("model", MODEL)), language)
        job_id = (await guide.ask(url=URL, params=params))["job_id"]
        await guide.end(job_id, strategy=how)
        made[job_id] = how
    plain, other, german = made.values()

    async def shown(query: str = "") -> Any:
        return (await guide.harness.call("GET", PLACES + query))["strategy_version"]

    assert (await shown(), await shown("?language=DE")) == (other, german)
    assert await shown(f"?strategy={german}") == german
    assert (await guide.ask(200))["strategy_version"] == plain  # known, and asked for again
    assert (await shown(), await shown("?language=de")) == (plain, german)
    await guide.harness.call("GET", f"{PLACES}?language=fr", status=404)


async def test_while_places_are_looked_for_the_map_is_not_there_and_says_who_looks(guide: Guide) -> None:
    job_id = (await guide.ask(url=URL, params={"language": "de"}))["job_id"]
    lease, now = await guide.harness.start(job_id), guide.harness.clock.now()
    progress = partial(state.progress, fraction=0.45, message="1 of 2 parts read", phase="summary", now=now)
    await guide.harness.store.change(job_id, progress, lease=lease)
    how = {"strategy_version": location_strategy(MODEL, "de")}
    for query in ("", "?language=de", f"?strategy={how['strategy_version']}"):
        told = await guide.harness.call("GET", PLACES + query, status=404)
        assert told.items() >= {"job_id": job_id, "job_status": "running", **how}.items()
        assert "running (summary, 45 %; 1 of 2 parts read)" in told["detail"] and job_id in told["detail"]
    assert (await guide.harness.call("POST", f"{PLACES}/retry", status=404))["job_id"] == job_id
    await guide.harness.settle(job_id, Postpone(timedelta(minutes=1), "gemini_limited: a pause"))
    told = await guide.harness.call("GET", PLACES, status=404)
    assert (told["job_status"], told["runAt"]) == ("queued", "2030-01-01T00:01:00.000Z")
    assert "queued until 2030-01-01T00:01:00.000Z (gemini_limited: a pause)" in told["detail"]
    await guide.harness.queue.cancel(job_id)
    assert "job_id" not in await guide.harness.call("GET", PLACES, status=404)


async def test_a_model_under_its_long_name_is_the_same_one(guide: Guide) -> None:
    first = await guide.ask()
    assert await guide.ask(url=URL, params={"model": f"models/{MODEL}"}) == first


async def test_a_move_of_a_job_is_told_in_the_words_of_who_asked(guide: Guide) -> None:
    job_id = (await guide.ask())["job_id"]
    told = await guide.harness.call("DELETE", f"/api/jobs/{job_id}")
    assert told == {"job_id": job_id, "jobId": job_id, "status": "canceled", **HOW}
    told = await guide.harness.call("POST", f"/api/jobs/{job_id}/retry")
    assert told == {"job_id": job_id, "jobId": job_id, "status": "queued", **HOW}
    other = await guide.harness.submit("locations", {"videoUrl": URL})
    told = await guide.harness.call("DELETE", f"/api/jobs/{other}")
    assert told == {"jobId": other, "status": "cancelled"}


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


async def test_a_tenant_learns_nothing_of_a_video_that_another_asked_for(guide: Guide) -> None:
    harness = guide.harness
    one, two = await harness.key("submit", name="one"), await harness.key("submit", name="two")
    reader = await harness.key("read", "submit", name="reader")
    maker = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=one))["job_id"]
    await harness.call("GET", PLACES, status=404, headers=two)
    twin = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=two))["job_id"]
    again = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=two))["job_id"]
    assert maker != twin == again
    await guide.end(maker, SHILIN)
    assert (await harness.call("GET", PLACES, headers=one))["failed"] == [SHILIN]
    known = await harness.call("POST", ANALYZE, {"url": URL}, headers=one)
    assert (known["job_id"], known["cached"]) == (maker, True)
    under_way = await harness.call("GET", PLACES, status=404, headers=two)
    assert under_way["job_id"] == twin and maker not in str(under_way)
    still = await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=two)
    assert still["job_id"] == twin, "its own job takes the result from the store"
    third = await harness.key("submit", name="three")
    for method, path in (("GET", PLACES), ("GET", f"{PLACES}?strategy={NOW}"), ("POST", f"{PLACES}/retry")):
        told = await harness.call(method, path, status=404, headers=third)
        assert "job_id" not in told and maker not in str(told)
    assert (await harness.call("POST", f"{PLACES}/retry", status=202, headers=one))["job_id"] == maker
    assert (await harness.call("GET", PLACES, headers=reader))["video_id"] == VIDEO


async def test_a_tenants_own_job_answers_for_the_video(guide: Guide) -> None:
    harness = guide.harness
    one, two = await harness.key("submit", name="one"), await harness.key("submit", name="two")
    maker = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=one))["job_id"]
    await guide.end(maker)
    own = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=two))["job_id"]
    result = (await harness.store.get(maker)).result
    await harness.settle(own, Completed(result))
    assert (await harness.call("GET", PLACES, headers=two))["routes"] == [ROUTE]


async def test_a_tenant_tries_again_what_its_own_job_missed_and_nothing_of_anothers(guide: Guide) -> None:
    harness = guide.harness
    one, two = await harness.key("submit", name="one"), await harness.key("submit", name="two")
    first = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=one))["job_id"]
    await guide.end(first, SHILIN)
    await harness.call("POST", f"{PLACES}/retry", status=404, headers=two)
    own = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=two))["job_id"]
    assert (await harness.call("POST", f"{PLACES}/retry", status=404, headers=two))["job_id"] == own
    await harness.settle(own, Partial((await harness.store.get(first)).result, [SHILIN]))
    for key, job_id in ((two, own), (one, first)):
        assert (await harness.call("POST", f"{PLACES}/retry", status=202, headers=key))["job_id"] == job_id
    await harness.settle(first, Failed(JobError("deterministic", "broken", "it broke")))
    assert (await harness.call("GET", PLACES, headers=one))["failed"] == [SHILIN], "what it found before is there"
    assert (await harness.call("POST", f"{PLACES}/retry", status=202, headers=one))["job_id"] == first


@pytest.mark.parametrize("scopes", [["submit"], ["submit", "read"]])
async def test_where_no_results_are_kept_the_job_that_was_asked_for_answers(build: Any, scopes: list[str]) -> None:
    guide = Guide()
    guide.harness = harness = await build(specs=[guide.spec], cache_ttl=timedelta(0))
    key, other = await harness.key(*scopes, name="one"), await harness.key("submit", name="two")
    first = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=key))["job_id"]
    assert (await harness.call("GET", PLACES, status=404, headers=key))["job_id"] == first
    await guide.end(first, SHILIN)
    for query in ("", f"?strategy={NOW}"):
        assert (await harness.call("GET", PLACES + query, headers=key))["failed"] == [SHILIN]
    await harness.call("GET", PLACES, status=404, headers=other)
    assert (await harness.call("POST", f"{PLACES}/retry", status=202, headers=key))["job_id"] == first
    await guide.end(first)
    second = (await harness.call("POST", ANALYZE, {"url": URL}, status=202, headers=key))["job_id"]
    assert second != first, "nothing is kept for who asks again"
    await guide.end(second)
    assert (await harness.call("GET", PLACES, headers=key))["routes"] == [ROUTE]
