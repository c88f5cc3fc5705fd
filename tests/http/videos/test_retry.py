"""What failed of a video is tried again, by the job that made the result or its twin."""

import asyncio
from typing import Any

from secondunit.queue.model import Submission
from secondunit.queue.outcome import Failed, JobError
from tests.http.videos.guide import ANALYZE, HOW, PLACES, SHILIN, URL, VIDEO, Guide


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
