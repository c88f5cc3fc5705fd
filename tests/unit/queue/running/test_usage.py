"""Figures of what a run's programs took: sums, peaks, and what stays with the job over its attempts."""

import asyncio
from typing import Any

import pytest

from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Transient
from secondunit.queue.ports.usage import Meter, Usage, cpu_of, meter
from secondunit.testing.rig import Rig, spec

MB = 1 << 20


def told(of: Meter) -> Any:
    return (of.figures(None) or {})["resources"]


def test_time_and_bytes_are_summed_and_memory_and_processes_are_those_at_one_time() -> None:
    subject = Meter()
    subject.seen("a", Usage(1.0, 10 * MB, 5, 6, 2))
    subject.seen("b", Usage(1.0, 20 * MB, 5, 6, 1))
    subject.ended("a", Usage(2.0, 15 * MB, 7, 8))
    subject.ended("b", Usage(3.0, 1 * MB, 0, 0))
    assert told(subject) == {
        "cpuSeconds": 5.0,
        "maxRssBytes": 35 * MB,
        "readBytes": 12,
        "writtenBytes": 14,
        "peakProcesses": 3,
    }


def test_what_was_seen_of_a_program_whose_end_was_not_told_counts() -> None:
    subject = Meter()
    subject.seen("a", Usage(1.0, 10, 5, 6, 2))
    assert told(subject)["cpuSeconds"] == 1.0
    subject.ended("a", Usage())
    assert told(subject)["cpuSeconds"] == 1.0 and told(subject)["peakProcesses"] == 2


def test_a_run_without_programs_has_no_figures() -> None:
    assert Meter().figures(None) is None and Meter().figures({"n": 1}) == {"n": 1}


@pytest.mark.parametrize("mine", ["mine", {"cpuSeconds": "much"}, {"cpuSeconds": 10**400}, {"cpuSeconds": -1}])
def test_what_a_handler_wrote_under_that_name_spoils_nothing(mine: Any) -> None:
    subject = Meter()
    subject.ended("a", Usage(1.0))
    assert (subject.figures({"resources": mine, "n": 1}) or {})["resources"]["cpuSeconds"] == 1.0
    assert cpu_of({"resources": mine}) == 0.0


async def test_figures_stay_with_the_job_over_its_attempts() -> None:
    async def run(ctx: JobContext, payload: Any) -> Any:
        await ctx.stats(tokens=7)
        meter().ended("program", Usage(1.5, 10 * ctx.attempt, 100, 200, 3))
        if ctx.attempt == 1:
            raise Transient("once more")

    rig = Rig(spec("hls", run))
    async with rig.working():
        job_id = await rig.submit("hls")
        async with asyncio.timeout(30):
            while not (await rig.job(job_id)).status.ended:
                await rig.clock.advance(1.0)
    assert (await rig.job(job_id)).stats == {
        "tokens": 7,
        "resources": {"cpuSeconds": 3.0, "maxRssBytes": 20, "readBytes": 200, "writtenBytes": 400, "peakProcesses": 3},
    }
