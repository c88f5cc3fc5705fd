"""A loop's nap ends by its alarm or by news, and an alarm that was not waited for never rings."""

import asyncio

import pytest

from secondunit.queue.running.nap import nap
from secondunit.testing.clock import ManualClock


async def test_an_alarm_ends_it_and_says_so() -> None:
    clock, wake = ManualClock(), asyncio.Event()
    napping = asyncio.create_task(nap(wake, clock, 5.0))
    await clock.advance(4.9)
    assert not napping.done()
    await clock.advance(0.1)
    assert await napping and wake.is_set()


async def test_news_end_it_and_its_alarm_rings_no_more() -> None:
    clock, wake = ManualClock(), asyncio.Event()
    napping = asyncio.create_task(nap(wake, clock, 5.0))
    await clock.settle()
    wake.set()
    assert not await napping
    wake.clear()
    await clock.advance(5.0)
    assert not wake.is_set()


async def test_cancelled_it_leaves_no_alarm_behind() -> None:
    clock, wake = ManualClock(), asyncio.Event()
    napping = asyncio.create_task(nap(wake, clock, 5.0))
    await clock.settle()
    napping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await napping
    await clock.advance(5.0)
    assert not wake.is_set()
