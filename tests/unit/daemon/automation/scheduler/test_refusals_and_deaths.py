from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue.errors import (
    BadPayload,
    FieldError,
    StoreBroken,
)
from tests.unit.daemon.automation.scheduler.scene import MINUTE, NOON, Box, schedule


class Crashing:
    """A way to the store that lets so many writes through and then dies, before the next one is made or after it."""

    def __init__(self, end: Any, writes: list[int], *, after: bool) -> None:
        self._end = end
        self._writes = writes
        self._after = after

    @property
    def alive(self) -> bool:
        """Whether it did not come to that yet."""
        return self._writes[0] >= 0

    def __getattr__(self, name: str) -> Any:
        there = getattr(self._end, name)
        if name in ("schedules", "audit"):
            return Crashing(there, self._writes, after=self._after)
        if name not in ("add", "change", "put", "drop"):
            return there

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._writes[0] -= 1
            if self._writes[0] == -1 and self._after:
                await there(*args, **kwargs)
            if self._writes[0] < 0:
                raise StoreBroken("the daemon is dead")
            return await there(*args, **kwargs)

        return call


async def test_a_run_that_can_not_be_stored_now_comes_later_and_once(box: Box) -> None:
    box.full = True
    async with box.daemon(schedule(cron="0 * * * *")):
        await box.clock.advance(5 * MINUTE)
        assert (await box.jobs(), box.told) == ([], [("put off", 1)])
        box.full = False
        await box.clock.advance(MINUTE)
        assert await box.runs() == ["12:00"]


@pytest.mark.parametrize(
    ("refusal", "payload", "says"),
    [
        (BadPayload(FieldError("inputPath", "is not there")), {}, "payload.inputPath: is not there"),
        (None, {"n": {"$from": "job_x"}}, "is called job_x"),
    ],
)
async def test_a_run_that_is_refused_for_good_counts_as_failed(
    box: Box, refusal: Exception | None, payload: Any, says: str
) -> None:
    box.refusal = refusal
    async with box.daemon(schedule(pause_after=2, payload=payload)):
        await box.clock.advance(5 * MINUTE)
        found = await box.state()
        assert (found.failures, found.paused, found.last_job) == (2, True, None)
        assert found.why is not None and "refused: " in found.why and says in found.why
    assert [what for what, _ in box.told] == ["refused", "refused", "paused"]


async def test_a_daemon_that_drains_submits_and_cancels_nothing(box: Box) -> None:
    async with box.daemon(schedule(overlap="cancel")):
        await box.clock.advance(MINUTE / 2)
        box.queue.draining = True
        await box.clock.advance(2 * MINUTE)
    [job] = await box.jobs()
    assert job.status == "queued"
    async with box.daemon(schedule(overlap="cancel")):
        assert [job.status for job in await box.jobs()] == ["cancelled", "queued"]


@pytest.mark.parametrize("overlap", ["queue", "cancel", "skip"])
@pytest.mark.parametrize("missed", ["skip", "once", "all"])
@pytest.mark.parametrize("after", [False, True])
async def test_a_daemon_that_dies_at_any_write_has_each_run_once(missed: Any, overlap: Any, after: bool) -> None:
    planned = schedule(missed=missed, overlap=overlap)
    for writes in range(8):
        box = Box()
        link = Crashing(box.store, [writes], after=after)
        with suppress(StoreBroken):
            async with box.daemon(planned, link=link):
                while link.alive and box.clock.now() < NOON + timedelta(minutes=8):
                    await a_moment(box)
                assert not link.alive
        died_at = box.clock.now()
        async with box.daemon(planned):
            for _ in range(20):
                await a_moment(box)
        last = (box.clock.now() - NOON) // timedelta(minutes=1)
        assert await box.runs() == [f"12:{minute:02}" for minute in range(last + 1)], (writes, died_at)


async def a_moment(box: Box) -> None:
    """Ten seconds, in which the jobs end before the next ones come."""
    await box.end_all()
    await box.clock.advance(10)
