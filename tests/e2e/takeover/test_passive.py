"""The analysis endpoints of the real daemon, as an online worker calls them."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.media, pytest.mark.slow]
Ask = Callable[[], Any]


@pytest.fixture
async def upload(world: Any, gemini: str) -> Ask:
    """Uploads the clip to the box, which serves in passive mode: (status, JSON)."""
    await world.start(GEMINI_API_KEY="stand-in", GEMINI_BASE_URL=gemini)

    async def ask() -> tuple[int, Any]:
        form = aiohttp.FormData()
        form.add_field("video", world.site.routes["/clip.mp4"].content, filename="clip.mp4")
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://127.0.0.1:{world.box.port}/analyze", data=form) as answer,
        ):
            return answer.status, await answer.json()

    return ask


async def test_an_uploaded_video_is_analysed_once_and_not_kept(world: Any, upload: Ask, until: Any) -> None:
    folder = world.box.data / "uploads"
    assert folder.stat().st_mode & 0o777 == 0o700
    status, first = await upload()
    assert status == 200, first
    assert first["recipe"]["name"] == "Stand-in soup"
    assert first["metadata"]["video_info"]["duration"] > 1 and first["metadata"]["cached"] is False
    status, again = await upload()
    assert status == 200 and again["jobId"] == first["jobId"] and again["metadata"]["cached"] is True
    assert len(world.gemini.asked) == 1
    await until(lambda: not any(folder.iterdir()))


async def test_an_upload_survives_the_death_of_the_box_and_its_caller_finds_the_job(
    world: Any, upload: Ask, until: Any
) -> None:
    world.gemini.script.append("hang")
    caller = asyncio.create_task(upload())
    await until(lambda: len(world.gemini.asked) == 1)
    await world.kill()
    with pytest.raises(aiohttp.ClientError):
        await caller
    await world.start()
    status, answer = await upload()
    assert status == 200 and answer["recipe"]["name"] == "Stand-in soup"
    jobs = await world.jobs()
    assert len(jobs) == 1, [job["error"] for job in jobs]
    [job] = jobs
    assert (job["jobId"], job["status"]) == (answer["jobId"], "completed")
    assert len(world.gemini.asked) == 2
    await until(lambda: not any((world.box.data / "uploads").iterdir()))
