"""The example programs of the online service, against the real daemon."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.media, pytest.mark.slow]
KEY = "the backend's key"


async def test_the_worker_has_the_box_analyse_and_gives_the_recipes_back(
    world: Any, gemini: str, run_node: Any
) -> None:
    await world.backend.add("a-1", world.site.url("/clip.mp4"), status="pending")
    await world.backend.add("a-2", world.site.url("/missing.mp4"), status="pending")
    box = await world.start(
        GEMINI_API_KEY="stand-in", GEMINI_BASE_URL=gemini, ALLOW_PRIVATE_ADDRESSES="127.0.0.0/8", API_KEY="open sesame"
    )
    environ = {"BACKEND_API_URL": world.backend.url, "INTERNAL_API_KEY": KEY, "API_KEY": "open sesame"}
    code, said = await run_node("worker/worker.mjs", "--once", PROCESSOR_URL=f"http://127.0.0.1:{box.port}", **environ)
    assert code == 0, said
    assert "completed a-1: Stand-in soup" in said and "failed a-2: failed: " in said, said
    assert world.backend.analysis("a-1")["recipe"]["name"] == "Stand-in soup"
    assert world.backend.analysis("a-2")["status"] == "failed"
    assert len(world.gemini.asked) == 1


@pytest.mark.long
async def test_the_worker_follows_an_analysis_that_takes_longer_than_it_may_wait(
    world: Any, gemini: str, run_node: Any, tmp_path: Path, until: Any
) -> None:
    for id in ("a-1", "a-2"):
        await world.backend.add(id, world.site.url(f"/clip.mp4?v={id}"), status="pending")
    clip = world.site.routes["/clip.mp4"]
    clip.cut, clip.hold = len(clip.content) // 2, asyncio.Event()
    settings = {"GEMINI_API_KEY": "stand-in", "GEMINI_BASE_URL": gemini, "ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8"}
    box = await world.start(**settings, ANALYZE_WAIT_SECONDS="1")
    environ = {"BACKEND_API_URL": world.backend.url, "INTERNAL_API_KEY": KEY, "POLL_INTERVAL_MS": "100"}
    running = asyncio.create_task(
        run_node("worker/worker.mjs", "--once", PROCESSOR_URL=f"http://127.0.0.1:{box.port}", **environ)
    )
    log = tmp_path / "node-0.log"
    await until(lambda: log.exists() and "following job_" in log.read_text())
    clip.hold.set()
    code, said = await running
    assert code == 0 and "completed a-1: Stand-in soup" in said and "completed a-2: Stand-in soup" in said, said
    assert len(world.gemini.asked) == 2


@pytest.mark.parametrize("secret", ["whsec_c2VjcmV0IG9mIHRoZSByZWNlaXZlcg==", "any text"])
async def test_a_client_follows_its_job_and_takes_the_signed_callback(
    world: Any, run_node: Any, tmp_path: Path, secret: str, until: Any
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    (media / "clip.mp4").write_bytes(world.site.routes["/clip.mp4"].content)
    box = await world.start(MEDIA_ROOTS=str(media), CALLBACK_SECRET=secret, ALLOW_PRIVATE_ADDRESSES="127.0.0.0/8")
    payload = json.dumps({"videoPath": str(media / "clip.mp4"), "outputPath": str(media / "thumb.jpg")})
    base = f"http://127.0.0.1:{box.port}"
    await world.call("POST", "/api/types/thumbnail/pause")
    running = asyncio.create_task(run_node("worker/jobs.mjs", base, "thumbnail", payload, CALLBACK_SECRET=secret))
    log = tmp_path / "node-0.log"
    await until(lambda: log.exists() and "job:now queued" in log.read_text())
    await world.call("POST", "/api/types/thumbnail/resume")
    code, said = await running
    assert code == 0, said
    assert (media / "thumb.jpg").is_file()
    for event in ("job:started", "job:completed"):
        assert event in said
    told = json.loads(said.splitlines()[-1].removeprefix("callback "))
    assert (told["type"], told["status"], told["epoch"]) == ("thumbnail", "completed", 1)
    [job] = await world.jobs()
    [delivery] = (await world.call("GET", f"/api/jobs/{job['jobId']}/deliveries"))["deliveries"]
    assert told["id"] == delivery["id"]
