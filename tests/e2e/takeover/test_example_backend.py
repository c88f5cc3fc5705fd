"""The example backend by itself: what it promises to the box."""

import asyncio
from typing import Any

import aiohttp
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
RESULT = {"recipe": {"name": "Soup"}, "metadata": {"gemini_tokens": {"total": 7}}}


def put(backend: Any, id: str = "a-1", *, body: Any = None, idempotency: str = "k-1", epoch: int = 5) -> Any:
    headers = {"Idempotency_Key": idempotency, "Secondunit_Epoch": str(epoch)}
    return backend.call("PUT", f"/v1/analysis/{id}/result", body or RESULT, **headers)


async def test_the_box_and_nobody_else_comes_in(backend: Any) -> None:
    await backend.add("a-1", "https://videos.example/a.mp4")
    for method, path in (
        ("GET", "/v1/analysis/failed"),
        ("PUT", "/v1/analysis/a-1/result"),
        ("GET", "/v1/analysis/a-1"),
    ):
        for key in ("", "wrong"):
            assert (await backend.call(method, path, RESULT if method == "PUT" else None, key=key))[0] == 401
    assert backend.analysis("a-1")["status"] == "failed"


async def test_only_failed_analyses_are_listed_and_no_more_than_asked_for(backend: Any) -> None:
    for number in range(4):
        await backend.add(f"a-{number}", "https://videos.example/a.mp4")
    await backend.add("a-9", "https://videos.example/a.mp4", status="pending")
    status, rows = await backend.call("GET", "/v1/analysis/failed?limit=3")
    assert status == 200 and [row["jobId"] for row in rows] == ["a-0", "a-1", "a-2"]
    assert rows[0]["videoUrl"] == "https://videos.example/a.mp4"
    assert (await backend.call("GET", "/v1/analysis/failed?limit=none"))[0] == 422


async def test_a_result_has_each_of_its_effects_once(backend: Any) -> None:
    await backend.add("a-1", "https://videos.example/a.mp4")
    assert await put(backend) == (200, {"id": "a-1", "outcome": "stored"})
    after = backend.data
    analysis = after["analyses"]["a-1"]
    assert (analysis["status"], analysis["recipe"]) == ("completed", RESULT["recipe"])
    assert [entry["status"] for entry in analysis["log"]] == ["failed", "completed"]
    assert after["points"] == {"user-1": 990}
    assert [note["jobId"] for note in after["notifications"]] == ["a-1"]
    assert await put(backend) == (200, {"id": "a-1", "outcome": "repeated"})
    assert (await put(backend, idempotency="k-2"))[0] == 409
    assert (await put(backend, idempotency="k-2", epoch=4))[0] == 412
    assert (await backend.call("POST", "/v1/analysis/a-1/fail", {"error": "late"}))[0] == 200
    assert backend.data == after


async def test_what_can_not_be_taken_changes_nothing(backend: Any) -> None:
    await backend.add("a-1", "https://videos.example/a.mp4")
    before = backend.data
    assert (await put(backend, "a-2"))[0] == 404
    assert (await put(backend, body={"recipe": {}}))[0] == 422
    assert (await backend.call("POST", "/v1/analysis", {"jobId": "a-3"}))[0] == 422
    assert (await backend.call("GET", "/nowhere"))[0] == 404
    assert backend.data == before


async def test_results_at_the_same_time_all_count(backend: Any) -> None:
    ids = [f"a-{number}" for number in range(10)]
    for id in ids:
        await backend.add(id, "https://videos.example/a.mp4")
    answers = await asyncio.gather(*(put(backend, id, idempotency=id) for id in ids for _ in range(2)))
    assert sorted(answer["outcome"] for _, answer in answers) == ["repeated"] * 10 + ["stored"] * 10
    assert backend.data["points"] == {"user-1": 900}


async def test_a_kill_leaves_a_whole_file_and_what_was_answered_for(backend: Any) -> None:
    """Kill it amid many writes, again and again: no answer was given for what is not on disk."""
    stored: list[str] = []
    for life in range(3):
        ids = [f"a-{life}-{number}" for number in range(200)]
        await backend.add(ids[0], "https://videos.example/a.mp4")

        async def feed(ids: list[str] = ids) -> None:
            for id in ids:
                await backend.add(id, "https://videos.example/a.mp4")
                if (await put(backend, id, idempotency=id))[0] == 200:
                    stored.append(id)

        feeding = asyncio.create_task(feed())
        async with asyncio.timeout(30):
            while len(stored) < 10 * (life + 1):
                await asyncio.sleep(0.002)
        backend.kill()
        with pytest.raises((aiohttp.ClientError, OSError)):  # whichever way the connection broke
            await feeding
        data = backend.data
        assert {id for id, analysis in data["analyses"].items() if analysis["status"] == "completed"} >= set(stored)
        assert len(data["notifications"]) == (1000 - data["points"]["user-1"]) / 10
        await backend.start()
    assert await put(backend, stored[0], idempotency=stored[0]) == (200, {"id": stored[0], "outcome": "repeated"})


async def test_the_page_shows_it_all_and_takes_names_for_text_only(backend: Any) -> None:
    await backend.add("a-1", "https://videos.example/<script>alert(1)</script>")
    async with aiohttp.ClientSession() as session:
        async with session.get(backend.url) as answer:
            page = await answer.text()
        assert "a-1" in page and "<script>" not in page
        form = {"videoUrl": "https://videos.example/b.mp4", "status": "failed"}
        async with session.post(f"{backend.url}/v1/analysis", data=form) as answer:
            assert answer.status == 201
    assert len((await backend.call("GET", "/v1/analysis/failed"))[1]) == 2
