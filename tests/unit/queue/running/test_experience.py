"""What is learned of runs: which count, what is kept over a restart, and what is expected of later ones."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import pytest

from secondunit.queue.errors import StoreFull
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.instrumentation import RunEstimated
from secondunit.queue.model import Job, Status
from secondunit.queue.outcome import Deterministic, Postponed
from secondunit.queue.ports.usage import Usage, meter
from secondunit.queue.running.execution import Runtime, nothing_reserved
from secondunit.queue.running.experience import WRITE_EVERY, Experience
from secondunit.queue.running.worker import Worker
from secondunit.queue.sight.estimates import KEPT, Sample, Span
from secondunit.queue.store import Store
from secondunit.testing.jobs import BOOT, TTL
from secondunit.testing.rig import Rig, spec


class Learning(Rig):
    """A worker whose jobs take as many seconds as their payload says, of inputs of ten bytes for each."""

    def __init__(self, **fields: Any) -> None:
        self.faults: list[Exception] = []
        self.work: Any = None

        async def run(ctx: JobContext, payload: Any) -> None:
            meter().ended(object(), Usage(cpu=payload.n / 2))
            if self.faults:
                raise self.faults.pop()
            if fields.get("measures") and payload.n > 1:
                await ctx.stats(work=self.work or 4 * payload.n)
            await self.clock.sleep(payload.n)

        subject: HandlerSpec = spec("hls", run, size=lambda payload: 10 * payload["n"], **fields)
        super().__init__(subject)
        self.experience = self.another()
        before = self.runtime
        self.runtime = Runtime(
            before.store, before.hub, before.clock, before.random, before.workspaces, before.emit,
            reserved=self.experience.measured, over=self.experience.over,
        )  # fmt: skip
        self.worker = Worker(self.runtime, self.registry, boot=BOOT, ttl=TTL, most=5)

    def another(self) -> Experience:
        """One that has seen nothing yet."""
        return Experience(self.store, self.registry, self.clock, self.facts.append, nothing_reserved)

    @asynccontextmanager
    async def noting(self, experience: Experience) -> AsyncIterator[None]:
        """What was kept is taken up, and what is new is written."""
        task = asyncio.create_task(experience.run())
        await self.clock.settle()
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def ended(self, n: int) -> Job:
        """A job of so many seconds, once it has ended."""
        job_id = await self.submit("hls", n)
        async with asyncio.timeout(60):
            while not (job := await self.job(job_id)).status.ended:
                if job.status is Status.RUNNING and not self.experience.begun(job_id):
                    await asyncio.sleep(0.001)  # its input is looked at, on a thread
                else:
                    await self.clock.advance(0.5)
        return job

    async def at_work(self, n: int, seconds: float) -> Job:
        """A job that runs for so many seconds since its handler began."""
        job_id = await self.submit("hls", n)
        async with asyncio.timeout(60):
            while not self.experience.begun(job_id):
                await asyncio.sleep(0.001)
        await self.clock.advance(seconds)
        return await self.job(job_id)

    def expected(self, size: int) -> tuple[float, float | None, str] | None:
        """Seconds, CPU seconds and by what, of an input of so many bytes."""
        found = self.experience.usual("hls", size)
        return None if found is None else (found.span.seconds, found.cpu, found.basis)


async def test_a_run_that_ended_well_counts_for_later_ones_by_the_size_of_its_input() -> None:
    rig = Learning()
    async with rig.working():
        assert rig.expected(40) is None
        await rig.ended(4)
        assert rig.expected(80) == (8.0, 4.0, "bytes")
        assert rig.expected(0) == (4.0, 2.0, "runs")


async def test_a_run_that_failed_was_put_back_or_found_work_done_does_not_count() -> None:
    rig = Learning(measures=("work",))
    async with rig.working():
        rig.faults = [Deterministic("broken")]
        assert (await rig.ended(4)).status is Status.FAILED
        rig.faults = [ValueError("flaky")]
        assert (await rig.ended(4)).attempt == 2
        assert (await rig.ended(1)).status is Status.COMPLETED, "which told no work"
        assert rig.expected(40) is None
        rig.faults = [Postponed("no room yet", delay=timedelta(seconds=1))]
        job = await rig.ended(4)
        assert [run.outcome for run in job.runs] == ["postponed", "completed"]
        assert rig.experience.usual("hls") is not None, "its whole work was done by one run"


@pytest.mark.parametrize("work", ["much", True, -4, 10**400, [4]])
async def test_work_that_is_told_as_no_size_is_none(work: Any) -> None:
    rig = Learning(measures=("work",))
    rig.work = work
    async with rig.working():
        assert (await rig.ended(4)).status is Status.COMPLETED
        assert rig.expected(40) is None


async def test_a_running_job_is_estimated_by_the_work_that_it_told_and_said_to_be_so_in_a_fact() -> None:
    rig = Learning(measures=("work",))
    async with rig.working():
        await rig.ended(4)
        assert rig.heard(RunEstimated) == []
        job = await rig.at_work(8, 2.0)
        whole, left = rig.experience.estimate(job), rig.experience.left(job)
        assert whole is not None and left is not None
        assert (whole.basis, whole.span.seconds) == ("work", 8.0)
        assert left.seconds == pytest.approx(whole.span.seconds - 2.0, abs=0.6)
        [told] = rig.heard(RunEstimated)
        assert (told.job.id, told.cpu, told.runs) == (job.id, 4.0, 1)


async def test_a_run_elsewhere_is_estimated_by_the_wall_clock() -> None:
    rig = Learning()
    async with rig.working():
        await rig.ended(4)
        job = await rig.at_work(400, 1.0)
        rig.experience.over(job.id, None)
        left = rig.experience.left(job)
        assert left is not None
        assert left.seconds == pytest.approx(3.0, abs=0.6)


async def test_what_was_learned_outlives_a_restart_and_only_the_last_runs_are_kept() -> None:
    rig, found = Learning(), Sample(2.0, 0.0, {"bytes": 1.0})
    await rig.store.sight.keep_samples({"hls": [found] * KEPT, "gone": [found]})
    async with rig.working(), rig.noting(rig.experience):
        assert rig.expected(2) == (4.0, None, "bytes")
        await rig.ended(4)
        await rig.clock.advance(WRITE_EVERY)
    kept = await rig.store.sight.samples()
    assert len(kept["hls"]) == KEPT and kept["hls"][-1].cpu == 2.0 and kept["hls"][0] == found
    assert list(kept["gone"]) == [found]
    after = rig.another()
    async with rig.noting(after):
        assert after.usual("hls") == rig.experience.usual("hls")


class Refusing:
    """The part of a store that keeps samples, which may be full."""

    def __init__(self) -> None:
        self.sight, self.full = self, False
        self.kept: list[Mapping[str, Sequence[Sample]]] = []

    async def keep_samples(self, samples: Mapping[str, Sequence[Sample]]) -> None:
        if self.full:
            raise StoreFull("the disk is full")
        self.kept.append(samples)


async def test_nothing_is_written_while_nothing_is_new_and_what_finds_no_room_is_written_later() -> None:
    rig, store = Learning(), Refusing()
    experience = Experience(cast(Store, store), rig.registry, rig.clock, rig.facts.append, nothing_reserved)
    async with rig.working():
        job = await rig.ended(2)
    async with experience.measured(job, rig.registry["hls"], rig.registry["hls"].payload(n=2)):
        experience.over(job.id, job)
    store.full = True
    await experience.note()
    assert store.kept == []
    store.full = False
    for _ in range(2):
        await experience.note()
    [kept] = store.kept
    assert [sample.sizes for sample in kept["hls"]] == [{"bytes": 20.0}]


async def test_an_unknown_type_and_figures_that_are_none_are_no_fault() -> None:
    rig = Learning(measures=("work",))
    odd = {"work": True}, {"work": "many"}, {"work": float("inf")}, {"work": -1}, {"work": None}
    async with rig.working():
        job = await rig.ended(4)
        for stats in odd:
            told = Job(**{name: getattr(job, name) for name in job.__struct_fields__} | {"stats": stats})
            assert rig.experience.estimate(told) is not None
            assert rig.experience.left(told) is not None
    assert rig.experience.usual("nowhere") is None
    assert Span(1.0, 0.0).after(Span(1.0, 0.0)) == Span(2.0, 0.0)
