"""The clock that other tests trust."""

import asyncio
from datetime import timedelta

from secondunit.queue.clock import Clock
from secondunit.testing.clock import START, ManualClock


async def test_time_stands_still_until_it_is_advanced() -> None:
    clock: Clock = ManualClock()
    assert (clock.now(), clock.monotonic()) == (START, 0.0)


async def test_advancing_moves_both_times() -> None:
    clock = ManualClock()
    await clock.advance(1.5)
    assert (clock.now(), clock.monotonic()) == (START + timedelta(seconds=1.5), 1.5)


async def test_sleepers_wake_in_order_each_at_its_own_time() -> None:
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in [("c", 3), ("a", 1), ("b", 2), ("b2", 2), ("late", 9)]:
            group.create_task(sleep(name, seconds))
        await clock.advance(5)
        assert woken == [("a", 1.0), ("b", 2.0), ("b2", 2.0), ("c", 3.0)]
        assert (clock.monotonic(), clock.sleepers) == (5.0, 1)
        await clock.advance(4)
    assert woken[-1] == ("late", 9.0)


async def test_a_sleeper_that_sleeps_again_is_woken_again() -> None:
    clock = ManualClock()
    beats: list[float] = []

    async def beat() -> None:
        while True:
            await clock.sleep(10)
            beats.append(clock.monotonic())

    task = asyncio.create_task(beat())
    await clock.advance(35)
    task.cancel()
    assert beats == [10.0, 20.0, 30.0]


async def test_a_sleeper_that_was_cancelled_does_not_hold_up_time() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(5))
    await clock.settle()
    task.cancel()
    await clock.advance(10)
    assert clock.sleepers == 0


async def test_setting_the_wall_clock_does_not_move_spans() -> None:
    clock = ManualClock()
    clock.set_wall(START - timedelta(hours=1))
    await clock.advance(2)
    assert (clock.now(), clock.monotonic()) == (START - timedelta(hours=1) + timedelta(seconds=2), 2.0)


async def test_sleeping_no_time_lets_others_run() -> None:
    clock = ManualClock()
    ran = asyncio.Event()
    task = asyncio.create_task(_set(ran))
    await clock.sleep(0)
    assert ran.is_set()
    await task


async def _set(event: asyncio.Event) -> None:
    event.set()


async def test_after_a_leap_all_wake_at_its_end() -> None:
    clock = ManualClock()
    woken: list[float] = []

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(clock.monotonic())

    async with asyncio.TaskGroup() as group:
        group.create_task(sleep(1))
        group.create_task(sleep(2))
        await clock.settle()
        await clock.leap(60)
    assert woken == [60.0, 60.0]
