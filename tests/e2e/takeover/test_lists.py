"""What the backend lists, to one box and to two: dead rows hold up nobody, and Gemini is asked as often as is told."""

import asyncio
import os
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.media, pytest.mark.slow]
SHARED = "a second active box does each analysis again, unless the backend grants claims"
UNCLAIMED = "The backend grants no claims: with a second active box each is done and paid twice"


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
    assert [line for line in told if line.startswith("secondunit_deliveries_total")] == [
        'secondunit_deliveries_total{kind="backend",outcome="delivered"} 1.0'
    ]
    assert f"Job dead-0 failed: {noise} can't be read" in world.box.log
    assert (await world.call("GET", "/health"))["status"] == "ok"


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
    logs = await asyncio.gather(*(asyncio.to_thread(lambda box=box: box.log) for box in boxes))
    assert all(SHARED in log for log in logs)
    assert [UNCLAIMED in log for log in logs] == [not grants] * 2
