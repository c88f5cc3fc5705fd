"""What the backend lists, to one box and to two: dead rows hold up nobody, and Gemini is asked as often as is told."""

import os
import re
import shutil
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.media, pytest.mark.slow]
SHARED = "an active box with another queue does each again, unless the backend grants claims"
UNCLAIMED = "The backend grants no claims: an active box with another queue does and pays each again"


async def test_a_good_row_behind_ten_dead_ones_is_done_and_nothing_is_told_of_those(
    world: Any, gemini: str, until: Any
) -> None:
    noise, page = world.site.url("/noise.mp4"), world.site.url("/login.mp4")
    world.site.file("/noise.mp4", os.urandom(50_000))
    world.site.says("/login.mp4", 403)
    dead = [noise, page, "https://www.youtube.com/watch?v=short", "http://10.1.2.3/private.mp4"]
    dead += [world.site.url(f"/gone-{n}.mp4") for n in range(6)]
    for n, url in enumerate(dead):
        await world.backend.add(f"dead-{n}", url)
    await world.backend.add("good", world.site.url("/clip.mp4"))
    await world.activate(gemini, ALERT_FAILED_JOBS="20")
    await world.completed("good")
    await until(lambda: "Job good completed successfully" in world.box.log)

    assert len(world.gate.puts) == 1 and len(world.gemini.asked) == 1
    told = (await world.call("GET", "/metrics")).splitlines()
    assert [line for line in told if line.startswith("secondunit_deliveries_total") and not line.endswith(" 0.0")] == [
        'secondunit_deliveries_total{kind="backend",outcome="delivered"} 1.0'
    ]
    assert f"Job dead-0 failed: {noise} can't be read" in world.box.log
    assert (await world.call("GET", "/health"))["status"] == "ok"
    refused = {"dead-2", "dead-3"}  # by their addresses, before there was a job
    assert {(job["source"], job["sourceId"]) for job in await world.jobs()} == {
        ("backend", id) for id in ["good", *(f"dead-{n}" for n in range(10))] if id not in refused
    }


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({}, "GEMINI_API_KEY is not set; set it and restart"),
        ({"GEMINI_API_KEY": "stand-in", "TYPES": "webp"}, "TYPES leaves analyze out; add it and restart"),
        (
            {"GEMINI_API_KEY": "stand-in", "FFMPEG_PATH": shutil.which("true")},
            "install ffmpeg (Debian: apt install ffmpeg)",
        ),
    ],
)
async def test_a_box_that_can_do_no_analysis_says_so_and_asks_for_none(
    world: Any, environ: dict[str, str], why: str
) -> None:
    await world.backend.add("a-1", world.site.url("/clip.mp4"))
    polls = {"PROCESSOR_MODE": "active", "BACKEND_API_URL": world.gate.url, "POLL_INTERVAL_MS": "100"}
    await world.start(**polls, **environ)
    [told] = re.findall(r"\[Active Mode\] Nothing is polled: (.*)", world.box.log)
    assert why in told and "Will poll" not in world.box.log
    assert (await world.call("GET", "/health"))["lastPoll"] is None and world.gate.asked == []


@pytest.mark.long
@pytest.mark.parametrize(("grants", "times"), [("once", 1), ("everybody", 2), ("", 2)])
async def test_two_boxes_ask_gemini_once_of_each_video_where_claims_are_granted_once_and_twice_elsewhere(
    world: Any, gemini: str, until: Any, grants: str, times: int
) -> None:
    world.gate.grants, world.gate.refusing = grants, True  # no result arrives before both have had their chance
    boxes = [await world.activate(gemini, BOX=name, DATA_DIR=str(world.folder / name)) for name in ("one", "two")]
    ids = ["a-1", "a-2", "a-3"]
    for id in ids:
        await world.backend.add(id, world.site.url(f"/clip.mp4?v={id}"))
    await until(lambda: len(world.gemini.asked) >= times * len(ids))
    polls = len(world.gate.asked)
    await until(lambda: len(world.gate.asked) > polls + 20)
    world.gate.refusing = False
    await world.completed(*ids)

    assert len(world.gemini.asked) == times * len(ids)
    assert {world.backend.analysis(id)["log"][-1]["status"] for id in ids} == {"completed"}
    logs = [box.log for box in boxes]
    assert all(SHARED in log for log in logs)
    assert [UNCLAIMED in log for log in logs] == [not grants] * 2
