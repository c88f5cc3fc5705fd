"""How a download is told: in a reader's units, with the rate of its last seconds, and never backwards."""

from pathlib import Path

import pytest

from secondunit.handlers.tools.byte_progress import ByteProgress, amount, describe
from secondunit.testing.clock import ManualClock
from secondunit.testing.handler_kit import FakeContext

KB, MB, GB = 1 << 10, 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (KB - 1, "1023 bytes"),
        (KB, "1.0 kB"),
        (1.5 * MB, "1.5 MB"),
        (MB - 1, "1024.0 kB"),
        (700 * GB, "700.0 GB"),
        (12.4, "12 bytes"),
    ],
)
def test_an_amount_is_told_in_the_unit_that_fits(size: float, words: str) -> None:
    assert amount(size) == words


@pytest.mark.parametrize(
    ("have", "total", "rate", "words"),
    [
        (12 * MB, 50 * MB, 3 * MB, "12.0 MB of 50.0 MB, 3.0 MB/s, 13 s left"),
        (12 * MB, 50 * MB, None, "12.0 MB of 50.0 MB"),
        (12 * MB, 50 * MB, 0.0, "12.0 MB of 50.0 MB"),
        (12 * MB, None, 3 * MB, "12.0 MB, 3.0 MB/s"),
        (60 * MB, 50 * MB, 3 * MB, "60.0 MB of 50.0 MB, 3.0 MB/s"),
        (0, 0, None, "0 bytes"),
    ],
)
def test_what_is_left_is_told_only_where_it_can_be_known(
    have: int, total: int | None, rate: float | None, words: str
) -> None:
    assert describe(have, total, rate) == words


@pytest.fixture
async def ctx(tmp_path: Path) -> FakeContext:
    return await FakeContext.open(tmp_path)


async def test_the_rate_is_that_of_this_run_and_of_its_last_seconds(ctx: FakeContext) -> None:
    clock = ManualClock()
    told = ByteProgress(ctx, clock)
    await told.tell(40 * MB, 100 * MB)
    assert "/s" not in ctx.reports[-1].message, "what an earlier run fetched says nothing of this one"
    await clock.advance(0.5)
    await told.tell(41 * MB, 100 * MB)
    assert "/s" not in ctx.reports[-1].message, "too soon to tell"
    await clock.advance(1.5)
    await told.tell(44 * MB, 100 * MB)
    assert ctx.reports[-1].message.endswith("2.0 MB/s, 28 s left")
    await clock.advance(3)
    await told.tell(50 * MB, 100 * MB)
    await clock.advance(2)
    await told.tell(58 * MB, 100 * MB)
    assert "4.0 MB/s" in ctx.reports[-1].message, "the first five seconds count no more"


async def test_a_download_that_starts_over_measures_anew_and_does_not_go_backwards(ctx: FakeContext) -> None:
    clock = ManualClock()
    told = ByteProgress(ctx, clock)
    await told.tell(50 * MB, 100 * MB)
    await clock.advance(2)
    await told.tell(10 * MB, 100 * MB)
    assert (ctx.fraction, "10.0 MB of" in ctx.reports[-1].message) == (0.5, True)
    await clock.advance(2)
    await told.tell(20 * MB, 100 * MB)
    assert "5.0 MB/s" in ctx.reports[-1].message and ctx.fraction == 0.5


@pytest.mark.parametrize(
    ("have", "total", "fraction", "share"),
    [
        (50, 100, 0.9, 0.5),
        (150, 100, None, 1.0),
        (50, None, 0.3, 0.3),
        (50, None, None, 0.0),
        (50, 0, 0.2, 0.2),
    ],
)
async def test_the_share_comes_from_the_total_and_else_from_who_knows_better(
    ctx: FakeContext, have: int, total: int | None, fraction: float | None, share: float
) -> None:
    await ByteProgress(ctx, ManualClock()).tell(have, total, fraction=fraction)
    assert ctx.fraction == share


async def test_every_byte_is_a_sign_of_life_although_the_words_stay_the_same(tmp_path: Path) -> None:
    ctx = await FakeContext.open(tmp_path)
    progress = ByteProgress(ctx, ManualClock())
    for have in range(5 * GB, 5 * GB + 4 * MB, MB):
        await progress.tell(have, None)
    assert len({report.message for report in ctx.reports}) == 1 and ctx.beats == 4
