"""Waiting for others: shown while it lasts, and over when it is over."""

import asyncio
from pathlib import Path

import pytest

from secondunit.handlers.tools.waiting import BETWEEN_TELLINGS, ON_DISK, TELL_EVERY, on_disk, waiting
from secondunit.queue.errors import LeaseLost
from secondunit.testing.clock import ManualClock
from secondunit.testing.handler_kit import FakeContext


@pytest.fixture
async def ctx(tmp_path: Path) -> FakeContext:
    return await FakeContext.open(tmp_path)


async def test_a_wait_is_shown_every_few_seconds_with_how_long_it_lasts(ctx: FakeContext) -> None:
    clock = ManualClock()
    await clock.advance(1000)
    async with waiting(ctx, clock, "waiting for Gemini", done=0.25):
        await clock.advance(TELL_EVERY - 0.1)
        assert ctx.reports == [], "a short wait is none"
        await clock.advance(2 * TELL_EVERY)
    assert [report.message for report in ctx.reports] == ["waiting for Gemini (5 s)", "waiting for Gemini (10 s)"]
    assert {report.fraction for report in ctx.reports} == {0.25}
    await clock.advance(60)
    assert len(ctx.reports) == 2 and clock.sleepers == 0, "nobody tells of a wait that is over"


async def test_an_error_inside_goes_out_as_it_is(ctx: FakeContext) -> None:
    clock = ManualClock()
    with pytest.raises(KeyError, match="inside"):
        async with waiting(ctx, clock, "waiting"):
            raise KeyError("inside")
    assert clock.sleepers == 0


async def test_a_lease_that_is_lost_while_a_wait_is_told_ends_the_wait_with_that(ctx: FakeContext) -> None:
    async def lost(fraction: float, message: str = "") -> None:
        raise LeaseLost("job_test", 1)

    ctx.progress = lost  # type: ignore[method-assign]
    clock = ManualClock()
    with pytest.raises(LeaseLost):
        async with waiting(ctx, clock, "waiting"):
            await clock.advance(TELL_EVERY)


async def test_cancelling_the_wait_leaves_no_task(ctx: FakeContext) -> None:
    clock = ManualClock()

    async def wait() -> None:
        async with waiting(ctx, clock, "waiting"):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await clock.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_wait_is_told_more_often_than_it_has_to_be(ctx: FakeContext) -> None:
    async with waiting(ctx, ManualClock(), "waiting for Gemini"):
        assert ctx.quiets == {"waiting for Gemini": BETWEEN_TELLINGS}
    assert BETWEEN_TELLINGS.total_seconds() > 2 * TELL_EVERY


async def test_what_only_the_disk_knows_may_take_its_time(ctx: FakeContext) -> None:
    assert await on_disk(ctx, "an fsync", divmod, 7, 2) == (3, 1)
    assert ctx.quiets == {"an fsync": ON_DISK}
