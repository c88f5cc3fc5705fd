import asyncio

import pytest

from secondunit.handlers.locations.strategy import latest_key, location_strategy, video_id
from secondunit.queue.outcome import Postponed, Unanswered
from tests.unit.handlers.locations.journey import FIVE, URL, limited
from tests.unit.handlers.locations.keys import Make, key


async def test_the_result_of_another_job_is_taken_as_it_is(journey: Make) -> None:
    j = journey()
    whole = await j.find(await j.context("job_a"))
    ctx = await j.context("job_b")
    assert await j.find(ctx, "https://VIDEOS.test:443/taipei.mp4?utm_source=x#t=3") == whole
    assert (ctx.ran, len(j.reader.asked), len(j.atlas.asked)) == ([], 1, 5)
    assert ctx.figures == {"tokens_in": 0, "tokens_out": 0, "locations_found": 5}
    assert ctx.reports[-1].message == "taken from another job, which looked at the same video"  # it may be a stranger's


async def test_a_partial_result_of_another_job_is_taken_as_partial(journey: Make) -> None:
    j = journey()
    del j.atlas.known["Longshan Temple"]
    first = await j.find(await j.context("job_a"))
    j.atlas.asked.clear()
    assert await j.find(await j.context("job_b")) == first
    assert j.atlas.asked == []


async def test_another_strategy_is_another_result_and_the_old_one_stays(journey: Make) -> None:
    j = journey()
    first = await j.find(await j.context("job_a"))
    second = await j.find(await j.context("job_b"), model="gemini-y")
    assert first["strategy_version"] != second["strategy_version"] and len(j.reader.asked) == 2
    assert await j.stored(key(j)) == first and await j.stored(key(j, model="gemini-y")) == second
    assert await j.stored(latest_key(video_id(URL))) == {"strategy": second["strategy_version"]}
    assert len(j.atlas.asked) == 5, "places are known to all strategies"


async def test_a_job_that_is_retried_with_another_model_asks_that_model(journey: Make) -> None:
    j = journey()
    ctx = await j.context()
    j.atlas.broken = dict.fromkeys(FIVE, limited(60))
    with pytest.raises(Postponed):
        await j.find(ctx)
    await j.clock.advance(60)
    j.atlas.broken.clear()
    assert j.tools.gemini
    j.tools.gemini.model = "gemini-later"
    result = await j.find(again := await ctx.rerun())
    assert result["strategy_version"] == location_strategy("gemini-later", None)
    assert (len(j.reader.asked), len(j.spoken.asked), len(again.ran)) == (2, 1, 1)


async def test_twins_ask_once(journey: Make) -> None:
    j = journey()
    j.reader.arrive.clear()
    contexts = [await j.context("job_a"), await j.context("job_b")]
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(j.find(ctx)) for ctx in contexts]
        while not j.reader.asked:
            await asyncio.sleep(0.001)
        j.reader.arrive.set()
    assert runs[0].result() == runs[1].result() and len(j.reader.asked) == 1


async def test_after_a_crash_finished_steps_are_not_done_again(journey: Make) -> None:
    j = journey(Unanswered("no answer"))
    ctx = await j.context()
    with pytest.raises(Unanswered):
        await j.find(ctx)
    again = await ctx.rerun()
    await j.find(again)
    assert (len(again.ran), len(j.spoken.asked)) == (1, 1)
