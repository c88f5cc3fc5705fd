from pathlib import Path

import pytest

from secondunit.queue.instrumentation import PhaseEnded
from secondunit.queue.outcome import Deterministic
from secondunit.queue.payloads.arguments import LONGEST_MESSAGE, clean, to_json
from secondunit.queue.running.context import RunContext
from tests.unit.queue.running.context.scene import Runs


async def test_a_run_knows_its_job() -> None:
    ctx = await Runs().begin()
    assert (ctx.job_id, ctx.attempt, ctx.epoch, ctx.labels) == ("a", 1, 1, {"video": "v"})
    assert ctx.workspace.run == Path("run")


async def test_progress_is_stored_and_published() -> None:
    runs = Runs()
    ctx = await runs.begin()
    await ctx.progress(0.25, "a quarter")
    job = await runs.job("a")
    assert (job.progress, job.message) == (0.25, "a quarter")
    [event] = [e for e in runs.told if e.name == "progress"]
    assert (event.seq, event.progress, event.message, event.status) == (0, 0.25, "a quarter", job.status)


async def test_progress_is_told_at_most_twice_a_second_and_the_last_of_it_is_not_lost() -> None:
    runs = Runs()
    ctx = await runs.begin()
    for percent in range(100):
        await ctx.progress(percent / 100)
        await runs.clock.advance(0.05)
    assert len(runs.fractions) <= 10
    await ctx.flush()
    assert runs.fractions[-1] == (await runs.job("a")).progress == 0.99
    told = len(runs.fractions)
    await runs.clock.advance(5)
    await ctx.flush()
    assert len(runs.fractions) == told, "nothing new, nothing told"


async def test_progress_never_falls_and_stays_between_nothing_and_all() -> None:
    runs = Runs()
    ctx = await runs.begin()
    for fraction in (-1, 0.5, 0.2, 7, 0.9):
        await ctx.progress(fraction)
        await runs.clock.advance(1)
    assert runs.fractions == [0.0, 0.5, 1.0]


async def test_only_news_counts_as_moving() -> None:
    runs = Runs()
    ctx = await runs.begin()
    await ctx.progress(0.5, "x")
    await runs.clock.advance(60)
    await ctx.progress(0.5, "x")
    assert ctx.moved == 0
    await ctx.progress(0.51, "x")
    assert ctx.moved == 60


async def test_a_full_disk_does_not_stop_a_run_that_reports_progress() -> None:
    runs = Runs()
    ctx = await runs.begin()
    runs.store.full = True
    await ctx.progress(0.5)
    runs.store.full = False
    await runs.clock.advance(1)
    await ctx.progress(0.6)
    assert runs.fractions == [0.6]


async def test_phases_weigh_parts_of_the_whole() -> None:
    runs = Runs()
    ctx = await runs.begin()
    for name, weight in [("metadata", 0.1), ("compression", 0.25), ("summary", 0.35), ("geocode", 0.3)]:
        async with ctx.phase(name, weight):
            assert (await runs.job("a")).phase == name
            await runs.clock.advance(1)
            await ctx.progress(0.5)
            await runs.clock.advance(1)
    await ctx.flush()
    assert runs.fractions == [0.0, 0.05, 0.1, 0.225, 0.35, 0.525, 0.7, 0.85, 1.0]


async def test_a_phase_within_a_phase_takes_its_share_of_it() -> None:
    runs = Runs()
    ctx = await runs.begin()
    async with ctx.phase("outer", 0.5):
        async with ctx.phase("first", 0.5):
            await ctx.progress(0.5)
            await runs.clock.advance(1)
            await ctx.flush()
        async with ctx.phase("second", 0.5):
            pass
        await ctx.flush()
        assert (await runs.job("a")).progress == 0.5
    await ctx.flush()
    assert (await runs.job("a")).progress == 0.5, "half of the whole, whatever was inside"
    async with ctx.phase("rest", 0.5):
        pass
    await ctx.flush()
    assert runs.fractions == [0.0, 0.0, 0.125, 0.25, 0.5, 0.5, 1.0], "each phase is told as it begins"


async def test_between_two_phases_the_one_that_was_left_is_told() -> None:
    runs = Runs()
    ctx = await runs.begin()
    async with ctx.phase("one", 0.5):
        pass
    await ctx.flush()
    told = await runs.job("a")
    assert (told.phase, told.progress) == ("one", 0.5)
    async with ctx.phase("outer", 0.5):
        assert (await runs.job("a")).phase == "outer", "which begins where the other ended"
        async with ctx.phase("inner", 0.5):
            assert (await runs.job("a")).phase == "inner"
        await ctx.flush()
        assert (await runs.job("a")).phase == "outer"
    await runs.clock.advance(1)
    await ctx.progress(1)
    assert (await runs.job("a")).phase is None, "what a handler tells outside of its phases is of none"


async def test_phases_that_weigh_too_much_never_pass_their_end() -> None:
    runs = Runs()
    ctx = await runs.begin()
    async with ctx.phase("outer", 0.5):
        for name in "abc":
            async with ctx.phase(name, 0.9):
                await ctx.progress(1)
        await ctx.flush()
        assert (await runs.job("a")).progress == 0.5
    for name in "de":
        async with ctx.phase(name, 0.9):
            await ctx.partial({"n": 1})
    assert max(event.progress for event in runs.told) == 1.0


async def test_a_failing_phase_is_not_reported_as_done() -> None:
    runs = Runs()
    ctx = await runs.begin()
    with pytest.raises(RuntimeError):
        async with ctx.phase("one", 0.5):
            raise RuntimeError
    await ctx.flush()
    assert (await runs.job("a")).progress == 0


async def test_the_seconds_of_each_phase_are_reported() -> None:
    runs = Runs()
    ctx = await runs.begin()
    async with ctx.phase("one", 0.5):
        await runs.clock.advance(3)
    with pytest.raises(RuntimeError):
        await failing_phase(runs, ctx)
    assert runs.heard(PhaseEnded) == [PhaseEnded("hls", "one", 3.0), PhaseEnded("hls", "two", 4.0)]


async def test_partial_data_goes_to_live_readers_as_json() -> None:
    runs = Runs()
    ctx = await runs.begin()
    await ctx.partial({"places": ("a", "b")})
    assert [(e.name, e.data, e.seq) for e in runs.told[-1:]] == [("data", {"places": ["a", "b"]}, 0)]
    with pytest.raises(Deterministic, match="JSON"):
        await ctx.partial({1, 2})
    assert [e.name for e in runs.told].count("data") == 1


async def test_figures_are_stored_with_the_job() -> None:
    runs = Runs()
    ctx = await runs.begin()
    await ctx.stats(tokens=3, places=1)
    await ctx.stats(tokens=5)
    assert (await runs.job("a")).stats == {"tokens": 5, "places": 1}


def test_messages_fit_a_row() -> None:
    assert clean("a\0b\ud800c") == "ab?c"
    assert len(clean("x" * 9000)) == LONGEST_MESSAGE


def test_json_comes_back_as_json() -> None:
    assert to_json({"a": (1, None)}, "x") == {"a": [1, None]}


async def failing_phase(runs: Runs, ctx: RunContext) -> None:
    async with ctx.phase("two", 0.5):
        await runs.clock.advance(4)
        raise RuntimeError
