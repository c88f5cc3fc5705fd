"""When the keeper of remote leases is late."""

import asyncio
from datetime import timedelta

import pytest

from secondunit.queue.remote.rounds import Rounds
from secondunit.testing.clock import ManualClock


@pytest.mark.parametrize(("lease", "late_after"), [(30, 10), (1, 1)])
async def test_it_is_late_by_a_third_of_a_lease_and_by_a_second_at_least(lease: float, late_after: float) -> None:
    clock = ManualClock()
    rounds = Rounds(clock, timedelta(seconds=lease))
    await clock.leap(1000)
    assert not rounds.late, "it has not begun"
    rounds.next_in(5)
    await clock.leap(5 + late_after)
    assert not rounds.late
    await clock.leap(0.1)
    assert rounds.late
    waiting = asyncio.create_task(rounds.caught_up())
    await clock.settle()
    assert not waiting.done()
    rounds.next_in(5)
    await waiting
    assert not rounds.late
