"""Moves over many jobs that depend on each other: whatever their order, each comes to what its own move would be."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.model import Bonds, Filter, Job, JobId, Status, Submission
from secondunit.queue.outcome import Deterministic
from secondunit.testing.jobs import ALL
from secondunit.testing.rig import Rig

Run = Callable[[JobContext, Any], Awaitable[None]]
CHAIN = [("a", ()), ("b", ("a",)), ("c", ("b",)), ("d", ("c",))]


class Nothing(BaseModel):
    pass


class Weather:
    """Jobs that fail while it is bad."""

    def __init__(self) -> None:
        self.bad: set[str] = {"a"}
        self.ran: list[str] = []
        self.rig = Rig(*(HandlerSpec(type, Nothing, self._run_of(type)) for type in "abcd"))

    def _run_of(self, type: str) -> Run:
        async def run(ctx: JobContext, payload: Any) -> None:
            self.ran.append(type)
            if type in self.bad:
                raise Deterministic(f"{type} can't be done today")

        return run

    async def batch(self, listed: Sequence[tuple[str, Sequence[str]]]) -> dict[str, JobId]:
        """A batch of jobs of these types, each called by its type, with what it depends on; their ids."""
        batch = self.rig.queue.new_batch(None, None, None)
        asked = [Submission(type, {}, bonds=Bonds(up, ref=type), batch=batch.id) for type, up in listed]
        answers = await self.rig.queue.submit_all(asked, batch=batch)
        return {job.type: job.id for job, _ in answers}

    async def statuses(self) -> dict[str, str]:
        return {job.type: job.status.value for job in (await self.rig.queue.find(ALL)).jobs}


@pytest.mark.parametrize("listed", [CHAIN, CHAIN[::-1], [CHAIN[2], CHAIN[0], CHAIN[3], CHAIN[1]]])
async def test_whoever_is_retried_with_its_parent_is_done_and_runs_once(listed: Sequence[tuple[str, Any]]) -> None:
    weather = Weather()
    ids = await weather.batch(listed)
    async with weather.rig.working():
        await weather.rig.clock.settle()
        assert set((await weather.statuses()).values()) == {"failed"}
        weather.bad.clear()
        weather.ran.clear()
        moved = await weather.rig.queue.retry_all(Filter([Status.FAILED]))
        assert (sorted(moved.done), moved.refused) == (sorted(ids.values()), [])
        await weather.rig.clock.settle()
    assert weather.ran == ["a", "b", "c", "d"]


async def test_a_child_whose_parent_does_not_match_is_refused_and_names_it() -> None:
    weather = Weather()
    ids = await weather.batch(CHAIN[:3])
    async with weather.rig.working():
        await weather.rig.clock.settle()
    moved = await weather.rig.queue.retry_all(Filter([Status.FAILED], ["b", "c"]))
    assert moved.done == [] and {job_id for job_id, _ in moved.refused} == {ids["b"], ids["c"]}
    assert f"{ids['a']}, which it depends on, failed; retry that one" in dict(moved.refused)[ids["b"]]


async def test_who_failed_by_itself_after_a_parent_comes_after_that_parent() -> None:
    weather = Weather()
    weather.bad = {"b"}
    ids = await weather.batch(CHAIN[:2])
    async with weather.rig.working():
        await weather.rig.clock.settle()
        weather.bad = {"a"}
        await weather.rig.queue.retry(ids["a"])
        await weather.rig.clock.settle()
        weather.bad.clear()
        moved = await weather.rig.queue.retry_all(Filter([Status.FAILED]))
        assert (moved.done, moved.refused) == ([ids["a"], ids["b"]], [])
        await weather.rig.clock.settle()
    assert set((await weather.statuses()).values()) == {"completed"}


async def test_a_child_that_came_back_and_ended_while_others_were_moved_is_not_run_again() -> None:
    weather = Weather()
    ids = await weather.batch(CHAIN[1::-1])
    async with weather.rig.working():
        await weather.rig.clock.settle()
        weather.bad.clear()
        plain = weather.rig.queue.retry

        async def retried_and_run(job_id: JobId) -> Job:
            job = await plain(job_id)
            await weather.rig.clock.settle()
            return job

        weather.rig.queue.retry = retried_and_run  # type: ignore[method-assign]
        weather.ran.clear()
        moved = await weather.rig.queue.retry_all(ALL)
    assert (sorted(moved.done), weather.ran) == (sorted(ids.values()), ["a", "b"])


@pytest.mark.parametrize("listed", [CHAIN, CHAIN[::-1], [CHAIN[2], CHAIN[0], CHAIN[3], CHAIN[1]]])
async def test_what_is_cancelled_together_is_cancelled_and_does_not_fail(listed: Sequence[tuple[str, Any]]) -> None:
    weather = Weather()
    ids = await weather.batch(listed)
    moved = await weather.rig.queue.cancel_all(Filter([Status.QUEUED]))
    assert (sorted(moved.done), moved.refused) == (sorted(ids.values()), [])
    assert set((await weather.statuses()).values()) == {"cancelled"}
