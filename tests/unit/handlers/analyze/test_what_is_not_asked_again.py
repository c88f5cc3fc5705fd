"""What is known is not paid for again: the cache, twins, stored answers, finished steps."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from secondunit.daemon.wiring.caches import CachedResults
from secondunit.queue.outcome import Deterministic, Postponed, Transient, Unanswered
from secondunit.queue.stores.memory import MemoryStore
from tests.unit.handlers.analyze.conftest import URL


async def test_a_video_asked_for_again_is_taken_from_the_cache(kitchen: Any) -> None:
    k = kitchen()
    first = await k.analyze(await k.context("job_a"))
    ctx = await k.context("job_b")
    second = await k.analyze(ctx, videoUrl="https://VIDEOS.test:443/soup.mp4?utm_source=x#t=3")
    paid = {name: first["metadata"][name] for name in ("cost", "gemini_tokens")}
    free = {"cost": 0, "gemini_tokens": dict.fromkeys(paid["gemini_tokens"], 0), "cached": True, "original": paid}
    info = {**first["metadata"]["video_info"], "source": second["metadata"]["video_info"]["source"]}
    assert (
        second == {**first, "metadata": {**first["metadata"], **free, "video_info": info}}
        and paid["gemini_tokens"]["total"] > 0
    )
    assert (len(k.transport.asked), k.videos.fetched, ctx.ran) == (1, [URL], [])
    assert ctx.reports[-1].message == "taken from another job, which analysed the same video"  # it may be a stranger's
    await k.clock.advance(3600)
    assert not (await k.analyze(await k.context("job_c")))["metadata"]["cached"]


@pytest.mark.parametrize("other", [{"language": "de"}, {"frames": 3}])
async def test_another_way_of_making_it_is_another_result(kitchen: Any, other: Mapping[str, Any]) -> None:
    k = kitchen()
    await k.analyze(await k.context("job_a"))
    result = await k.analyze(await k.context("job_b"), videoUrl=URL, **other)
    assert (result["metadata"]["cached"], len(k.transport.asked)) == (False, 2)


async def test_twins_ask_once_and_the_one_that_waits_says_so(kitchen: Any) -> None:
    k = kitchen()
    k.transport.arrive.clear()
    contexts = [await k.context("job_a"), await k.context("job_b")]
    async with asyncio.TaskGroup() as group:
        first, second = [group.create_task(k.analyze(ctx)) for ctx in contexts]
        while not k.transport.asked:
            await asyncio.sleep(0.01)
        await k.clock.advance(10)
        assert "another job" in contexts[1].reports[-1].message and "(10 s)" in contexts[1].reports[-1].message
        assert contexts[0].reports[-1].message == "waiting for Gemini (10 s)"
        k.transport.arrive.set()
    assert [task.result()["metadata"]["cached"] for task in (first, second)] == [False, True]
    assert len(k.transport.asked) == 1 and k.clock.sleepers == 0


async def test_a_twin_goes_on_alone_when_the_first_one_fails(kitchen: Any) -> None:
    k = kitchen(Transient("500"))
    results = await asyncio.gather(
        k.analyze(await k.context("job_a")), k.analyze(await k.context("job_b")), return_exceptions=True
    )
    assert isinstance(results[0], Transient) and isinstance(results[1], dict)
    assert k.tools.results._rooms == {}


async def test_a_failed_download_never_reaches_gemini(kitchen: Any) -> None:
    k = kitchen()
    k.videos.trouble = Deterministic("this video is private", type="private")
    assert (await k.fails()).type == "private"
    assert k.transport.asked == []


async def test_nothing_is_downloaded_while_gemini_can_not_be_asked(kitchen: Any) -> None:
    k = kitchen(daily_tokens=1000)
    await k.analyze(await k.context("job_a"))
    error = await k.fails(videoUrl=URL + "?v=2")
    assert isinstance(error, Postponed) and "GEMINI_DAILY_TOKENS" in str(error)
    assert k.videos.fetched == [URL]


async def test_a_stored_answer_is_used_although_gemini_can_not_be_asked(kitchen: Any) -> None:
    k = kitchen(daily_tokens=1000)
    ctx = await k.context()
    await k.analyze(ctx)
    k = replace(k, tools=replace(k.tools, results=CachedResults(MemoryStore().cache, k.clock, timedelta(hours=1))))
    result = await k.analyze(await ctx.rerun())
    assert (result["metadata"]["cached"], len(k.transport.asked), await k.spent()) == (False, 1, 1250)


async def test_after_a_crash_finished_steps_are_not_done_again(kitchen: Any) -> None:
    k = kitchen(Unanswered("no answer"), "answer")
    ctx = await k.context()
    with pytest.raises(Unanswered):
        await k.analyze(ctx)
    shots = k.studio.shot
    again = await ctx.rerun()
    await k.analyze(again)
    assert (again.ran, k.videos.fetched, k.studio.shot) == (["gemini"], [URL], shots)
