"""A week off, a clock that is set, a schedule that was changed or renamed."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.daemon.automation.scheduler.scene import FLAKY, MINUTE, NOON, Box, schedule


@pytest.mark.parametrize(("missed", "caught_up"), [("skip", 0), ("once", 1), ("all", 7)])
async def test_after_a_week_off(box: Box, missed: Any, caught_up: int) -> None:
    planned = schedule(cron="0 3 * * *", missed=missed)
    async with box.daemon(planned):
        pass
    await box.clock.leap(7 * 86_400)
    for _ in range(3):
        async with box.daemon(planned):
            await box.clock.advance(20)
            assert len(await box.jobs()) == caught_up
    assert Counter(dict(box.told)) == Counter(missed=7 - caught_up, submitted=caught_up)
    async with box.daemon(planned):
        await box.end_all()
        await box.clock.leap((NOON.replace(hour=2, minute=59) + timedelta(days=8) - box.clock.now()).total_seconds())
        await box.clock.advance(2 * MINUTE)
        assert len(await box.jobs()) == caught_up + 1


async def test_a_clock_that_is_set_brings_no_run_twice(box: Box) -> None:
    async with box.daemon(schedule(overlap="queue", missed="all")):
        await box.clock.advance(3 * MINUTE)
        for minutes in (-2, 4, -30, 0.5, -7, 31):
            box.clock.set_wall(box.clock.now() + timedelta(minutes=minutes))
            await box.clock.advance(20)
        runs = await box.runs()
        assert len(runs) == len({*runs}) > 4


async def test_what_a_wrong_clock_led_into_the_future_is_told_and_resumed(box: Box) -> None:
    async with box.daemon(schedule(overlap="queue")):
        box.clock.set_wall(NOON + timedelta(days=365))
        await box.clock.advance(20)
        box.clock.set_wall(NOON)
        assert "what comes before 2027-11-28" in box.scheduler.timetable.stopped["s"]
        await box.clock.advance(5 * MINUTE)
        assert len(await box.jobs()) == 1
        await box.scheduler.resume("s")
        assert box.scheduler.timetable.stopped == {}
        await box.clock.advance(MINUTE)
        assert len(await box.jobs()) == 2


async def test_one_that_is_taken_out_is_forgotten_and_one_that_is_renamed_is_new(box: Box) -> None:
    async with box.daemon(schedule("kept", pause_after=1), schedule("old", pause_after=1)):
        await box.clock.advance(MINUTE)
        await box.end_all(FLAKY)
        [kept, old] = await box.scheduler.all()
        assert kept.state.paused and old.state.paused
    async with box.daemon(schedule("kept", pause_after=1), schedule("new", pause_after=1)):
        [kept, new] = await box.scheduler.all()
        assert (kept.state.paused, new.state.paused, new.state.last_job) == (True, False, None)
        assert [found.name for found in await box.store.schedules.all()] == ["kept", "new"]
        assert len(await box.jobs()) == 2
    async with box.daemon(schedule("old")):
        assert not (await box.state("old")).paused


async def test_one_whose_times_were_changed_counts_from_now(box: Box) -> None:
    async with box.daemon(schedule(missed="all", overlap="queue")):
        await box.clock.advance(MINUTE)
    await box.clock.leap(10 * MINUTE)
    async with box.daemon(schedule(cron="*/2 * * * *", missed="all", overlap="queue")):
        await box.clock.advance(2 * MINUTE)
    assert await box.runs() == ["12:00", "12:12"]
