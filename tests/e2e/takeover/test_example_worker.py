"""The example programs of the online service, against the real daemon."""

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
    code, said = await run_node(
        "worker/worker.mjs", "--once", PROCESSOR_URL=f"http://127.0.0.1:{box.port}", **environ
    )
    assert code == 0, said
    assert "completed a-1: Stand-in soup" in said and "failed a-2: 422" in said
    assert world.backend.analysis("a-1")["recipe"]["name"] == "Stand-in soup"
    assert world.backend.analysis("a-2")["status"] == "failed"
    assert len(world.gemini.asked) == 1


@pytest.mark.parametrize("secret", ["whsec_c2VjcmV0", "any text"])
async def test_a_client_follows_its_job_and_takes_the_signed_callback(
    world: Any, run_node: Any, tmp_path: Path, secret: str
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    clip = Path(__file__).resolve().parents[3] / "examples" / "media" / "clip.mp4"
    (media / "clip.mp4").symlink_to(clip) if False else (media / "clip.mp4").write_bytes(clip.read_bytes())
    box = await world.start(MEDIA_ROOTS=str(media), CALLBACK_SECRET=secret, ALLOW_PRIVATE_ADDRESSES="127.0.0.0/8")
    payload = json.dumps({"videoPath": str(media / "clip.mp4"), "outputPath": str(media / "thumb.jpg")})
    base = f"http://127.0.0.1:{box.port}"
    code, said = await run_node("worker/jobs.mjs", base, "thumbnail", payload, CALLBACK_SECRET=secret)
    assert code == 0, said
    assert (media / "thumb.jpg").is_file()
    for event in ("job:started", "job:completed"):
        assert event in said
    told = json.loads(said.splitlines()[-1].removeprefix("callback "))
    assert (told["type"], told["status"], told["epoch"]) == ("thumbnail", "completed", "1")
    [job] = await world.jobs()
    [delivery] = (await world.call("GET", f"/api/jobs/{job['jobId']}/deliveries"))["deliveries"]
    assert told["id"] == delivery["id"]


async def test_a_callback_with_another_secret_is_not_believed(world: Any, run_node: Any, tmp_path: Path) -> None:
    """The program goes on waiting; what it was sent is tried again."""
    code, said = await run_node("worker/jobs.mjs", "http://127.0.0.1:9", "thumbnail", "{}", CALLBACK_SECRET="x")
    assert code != 0 and said
