"""How much of their steps remote workers may have kept."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from secondunit.queue.errors import BadPayload
from secondunit.queue.remote.step_room import BESIDE, JOBS_KNOWN, MOST, StepRoom
from secondunit.queue.store import Step, Steps
from secondunit.testing.jobs import NOW

HALF = "x" * (8 << 20)


class Kept:
    """Steps that are there, and how often they were read."""

    def __init__(self, *results: Any) -> None:
        self._found = [Step("job_a", f"old{n}", True, result, 1, NOW) for n, result in enumerate(results)]
        self.reads = 0

    async def of_job(self, _: str) -> Sequence[Step]:
        self.reads += 1
        return self._found


async def test_steps_of_a_job_are_bounded_together() -> None:
    kept = Kept(HALF)
    room = StepRoom(cast(Steps, kept))
    await room.take("job_a", 2, "new", "small")
    for _ in range(3):
        await room.take("job_a", 2, "old0", HALF)  # the same again is no more
    with pytest.raises(BadPayload, match="16777216 are kept"):
        await room.take("job_a", 2, "other", HALF)
    await room.take("job_a", 2, "old0", 1)
    await room.take("job_a", 2, "other", HALF)
    assert kept.reads == 1
    room.forget("job_a", 2)
    await room.take("job_a", 3, "new", "small")
    assert kept.reads == 2


async def test_a_name_counts_as_well() -> None:
    with pytest.raises(BadPayload, match="are kept"):
        await StepRoom(cast(Steps, Kept())).take("job_a", 1, "n" * (17 << 20), 0)


async def test_of_many_jobs_the_one_that_came_first_is_read_again() -> None:
    kept = Kept()
    room = StepRoom(cast(Steps, kept))
    for n in range(JOBS_KNOWN):
        await room.take(f"job_{n}", 1, "s", 0)
    assert room.knows("job_0", 1) and kept.reads == JOBS_KNOWN
    await room.take("job_new", 1, "s", 0)
    assert [room.knows(f"job_{name}", 1) for name in (0, 1, "new")] == [False, True, True]


async def test_steps_may_fill_their_room_to_the_last_byte() -> None:
    room, beside = StepRoom(cast(Steps, Kept())), BESIDE + len("s") + len('""')
    with pytest.raises(BadPayload, match="would have 16777217 bytes"):
        await room.take("job_a", 1, "s", "x" * (MOST - beside + 1))
    await room.take("job_a", 1, "s", "x" * (MOST - beside))
