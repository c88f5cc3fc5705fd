"""The box takes over what failed online, and is itself killed at each step: every result once, no answer paid twice."""

import asyncio
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.ffmpeg import programs
from tests.ports import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.media, pytest.mark.slow, pytest.mark.timeout(120)]
DOUBT = "secondunit_llm_maybe_charged_total"


def once_in_effect(world: Any, id: str, *, earlier: int = 0) -> None:
    """The backend has the recipe, and everything that hangs on it happened once."""
    analysis, data = world.backend.analysis(id), world.backend.data
    assert analysis["recipe"]["name"] == "Stand-in soup"
    assert analysis["metadata"]["gemini_tokens"]["total"] > 0
    assert [entry["status"] for entry in analysis["log"]].count("completed") == 1
    assert data["points"][analysis["user"]] == 1000 - 10 * (earlier + 1)
    assert [note["jobId"] for note in data["notifications"]].count(id) == 1


async def test_while_nothing_fails_the_box_only_looks(world: Any, gemini: str, until: Any) -> None:
    await world.backend.add("a-1", world.site.url("/clip.mp4"), status="pending")
    await world.activate(gemini)
    await until(lambda: len(world.gate.asked) >= 3)
    assert set(world.gate.asked) == {"GET /v1/analysis/failed"}
    assert await world.jobs() == [] and world.gemini.asked == [] and world.site.requests == []


async def test_the_online_service_dies_and_the_box_takes_over(world: Any, gemini: str, run_node: Any) -> None:
    for id in ("a-1", "a-2"):
        await world.backend.add(id, world.site.url(f"/clip.mp4?v={id}"), status="pending")
    await world.activate(gemini)
    nobody = f"http://127.0.0.1:{free_port()}"
    code, said = await run_node(
        "worker/worker.mjs", "--once",
        BACKEND_API_URL=world.backend.url, INTERNAL_API_KEY="the backend's key", PROCESSOR_URL=nobody,
    )  # fmt: skip
    assert code == 0 and said.count("failed a-") == 2
    await world.completed("a-1", "a-2")
    await world.delivered()
    for id in ("a-1", "a-2"):
        once_in_effect(world, id, earlier=1)
    assert len(world.gemini.asked) == 2
    assert await world.metric(DOUBT) == 0
    for line in ("Polling for failed jobs", "Processing job a-1", "Submitting result for job a-1"):
        assert line in world.box.log


async def taken(world: Any, gemini: str, **environ: str) -> None:
    """The box runs, with one analysis to take over."""
    await world.backend.add("a-1", world.site.url("/clip.mp4"))
    await world.activate(gemini, **environ)


async def the_same_once_more(world: Any) -> None:
    """Kill the box and start it again; in the end the backend has the one result."""
    await world.kill()
    await world.start()
    await world.completed("a-1")
    await world.delivered()
    once_in_effect(world, "a-1")
    [job] = await world.jobs()
    assert (job["status"], job["attempt"]) == ("completed", 1)


@pytest.mark.long
async def test_killed_amid_the_download(world: Any, gemini: str, until: Any) -> None:
    clip = world.site.routes["/clip.mp4"]
    clip.cut, clip.hold = len(clip.content) // 2, asyncio.Event()
    await taken(world, gemini)
    await until(lambda: world.site.sent >= len(clip.content) // 2)
    await world.kill()
    clip.hold.set()
    await world.start()
    await world.completed("a-1")
    await world.delivered()
    once_in_effect(world, "a-1")
    assert len(world.gemini.asked) == 1 and await world.metric(DOUBT) == 0


@pytest.mark.long
async def test_killed_after_the_download(world: Any, gemini: str, tmp_path: Path, until: Any) -> None:
    hold, reached, ffprobe = tmp_path / "hold", tmp_path / "reached", tmp_path / "ffprobe"
    real_ffmpeg, real = programs()
    waits = f"[ -e {hold} ] && touch {reached}\nwhile [ -e {hold} ]; do sleep 0.05; done"
    ffprobe.write_text(f'#!/bin/sh\n{waits}\nexec {shlex.quote(real)} "$@"\n')
    ffprobe.chmod(0o755)
    await world.activate(gemini, FFMPEG_PATH=real_ffmpeg, FFPROBE_PATH=str(ffprobe), SANDBOX="off")  # it touches a file
    hold.touch()
    await world.backend.add("a-1", world.site.url("/clip.mp4"))
    await until(reached.exists)
    downloads = len(world.site.requests)
    await world.kill()
    hold.unlink()
    await the_same_once_more(world)
    assert len(world.site.requests) == downloads, "it was downloaded again"
    assert len(world.gemini.asked) == 1 and await world.metric(DOUBT) == 0


async def test_killed_while_gemini_thinks(world: Any, gemini: str, until: Any) -> None:
    world.gemini.script.append("hang")
    await taken(world, gemini)
    await until(lambda: len(world.gemini.asked) == 1)
    await the_same_once_more(world)
    assert len(world.gemini.asked) == 2
    assert await world.metric(DOUBT) == 1
    assert "job.in_doubt" in world.box.log


async def test_killed_again_while_gemini_thinks_the_third_question_is_not_asked(
    world: Any, gemini: str, until: Any
) -> None:
    world.gemini.script.extend(["hang", "hang"])
    await taken(world, gemini)
    await until(lambda: len(world.gemini.asked) == 1)
    await world.kill()
    await world.start()
    await until(lambda: len(world.gemini.asked) == 2)
    await world.kill()
    await world.start()
    async with asyncio.timeout(30):
        while (await world.jobs())[0]["status"] != "failed":
            await asyncio.sleep(0.02)
    [job] = await world.jobs()
    assert (job["error"]["class"], job["error"]["type"]) == ("deterministic", "in_doubt")
    assert len(world.gemini.asked) == 2
    assert world.backend.analysis("a-1")["status"] == "failed"


async def test_killed_after_an_answer_of_gemini_that_answer_is_not_paid_again(
    world: Any, gemini: str, until: Any
) -> None:
    world.gemini.script.extend(["cut", "hang"])  # the first answer is stored, its continuation is under way
    await taken(world, gemini)
    await until(lambda: len(world.gemini.asked) == 2)
    await the_same_once_more(world)
    longer = [asked.body["generationConfig"]["maxOutputTokens"] for asked in world.gemini.asked]
    assert len(longer) == 3 and longer[0] < longer[1] == longer[2]


@pytest.mark.long
async def test_killed_before_the_put(world: Any, gemini: str, until: Any) -> None:
    world.gate.refusing = True
    await taken(world, gemini)
    await until(lambda: world.gate.puts)
    await world.kill()
    world.gate.refusing = False
    await the_same_once_more(world)
    assert len(world.gemini.asked) == 1 and await world.metric(DOUBT) == 0
    assert len({put["Idempotency-Key"] for put in world.gate.puts}) == 1


async def test_killed_after_the_put_before_its_answer_was_read(world: Any, gemini: str) -> None:
    world.gate.keeping = True
    await taken(world, gemini)
    await world.gate.kept.wait()
    assert world.backend.analysis("a-1")["status"] == "completed"
    await world.kill()
    world.gate.keeping = False
    await the_same_once_more(world)
    assert len(world.gate.puts) == 2 and world.gate.puts[0] == world.gate.puts[1]
    assert len(world.gemini.asked) == 1 and await world.metric(DOUBT) == 0
