"""What is told of workers: in explanations, and in the list of types."""

import asyncio

from secondunit.daemon.formats import instant
from tests.http.harness import ApiHarness
from tests.http.leases.scene import submit, take


async def test_an_explanation_names_the_workers_that_were_last_seen(harness: ApiHarness) -> None:
    job_id = await submit(harness)
    told = await harness.call("GET", f"/api/jobs/{job_id}/explain")
    assert told["reason"] == "slot" and "none was seen" in told["sentence"]

    await harness.call("POST", "/api/types/ocr/pause")
    assert (await harness.call("GET", f"/api/jobs/{job_id}/explain"))["reason"] == "paused"
    await take(harness, worker="gpu-7")
    await harness.call("POST", "/api/types/ocr/resume")
    await harness.clock.advance(12)
    told = await harness.call("GET", f"/api/jobs/{job_id}/explain")
    assert told["reason"] == "slot" and "no worker asks" in told["sentence"] and "gpu-7 (12 s ago)" in told["sentence"]

    await take(harness, worker="gpu-8")
    told = await harness.call("GET", f"/api/jobs/{job_id}/explain")
    assert told["reason"] == "running" and "gpu-8" in told["sentence"]


async def test_full_slots_are_explained_with_who_is_ahead(harness: ApiHarness) -> None:
    first, second = await submit(harness, "asr"), await submit(harness, "asr")
    await take(harness, "asr")
    told = await harness.call("GET", f"/api/jobs/{second}/explain")
    assert (told["reason"], told["blockedBy"]) == ("slot", [first])
    assert "1 of 1 slots is busy" in told["sentence"] and "w1" in told["sentence"]


async def test_the_list_of_types_shows_their_workers(harness: ApiHarness) -> None:
    waiting = asyncio.create_task(take(harness, "ocr", "asr", worker="gpu-7", waitSeconds=60))
    await harness.until(lambda: len(harness.leasing.room))
    types = {one["type"]: one for one in (await harness.call("GET", "/api/types"))["types"]}
    seen = {"name": "gpu-7", "key": None, "lastSeenAt": instant(harness.clock.now()), "waiting": True}
    assert types["ocr"]["workers"] == [seen] == types["asr"]["workers"]
    assert types["idle"]["workers"] == []
    await harness.clock.advance(60)
    await waiting
    types = {one["type"]: one for one in (await harness.call("GET", "/api/types"))["types"]}
    assert types["ocr"]["workers"][0]["waiting"] is False
