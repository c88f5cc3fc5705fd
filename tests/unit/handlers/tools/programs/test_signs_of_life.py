"""Signs of life of programs: what they print, and what they do without a word; a program that hangs gives none."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from secondunit.handlers.tools.programs.exertion import LEAST_CPU, LEAST_DISK, Exertion, ExertionMeter, exertion
from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.testing.processes import marked, python

BUSY = "end = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"


class Pulse:
    """When a run was told to be alive, in seconds since this was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.beats: list[float] = []

    def __call__(self) -> None:
        self.beats.append(time.monotonic() - self._began)

    def within(self, first: float, last: float) -> int:
        return sum(first <= beat <= last for beat in self.beats)


async def nobody(line: str) -> None:
    """What a program answers is the affair of who asked."""


@pytest.mark.slow
@pytest.mark.parametrize("pipe", [1, 2])
async def test_what_a_program_prints_is_a_sign_of_life(runner: ProcessRunner, tmp_path: Path, pipe: int) -> None:
    pulse = Pulse()
    await runner.run(python(f"for _ in range(4): os.write({pipe}, b'.'); time.sleep(0.1)"), cwd=tmp_path, beat=pulse)
    assert len(pulse.beats) >= 4


@pytest.mark.slow
async def test_a_program_that_works_without_a_word_gives_signs_of_life(runner: ProcessRunner, tmp_path: Path) -> None:
    pulse = Pulse()
    await runner.run(python(BUSY.format(seconds=3)), cwd=tmp_path, on_line=nobody, beat=pulse)
    assert pulse.within(1, 4) >= 2


@pytest.mark.slow
async def test_what_its_children_do_counts_too(runner: ProcessRunner, tmp_path: Path) -> None:
    pulse = Pulse()
    code = f"os.fork() and (os.wait(), os._exit(0))\n{BUSY.format(seconds=3)}"
    await runner.run(python(code), cwd=tmp_path, beat=pulse)
    assert pulse.within(1, 4) >= 2


@pytest.mark.slow
async def test_a_program_that_hangs_gives_none(runner: ProcessRunner, tmp_path: Path) -> None:
    """Not even when it says over and over to who asked it that it is where it was, as ffmpeg does."""
    pulse = Pulse()
    code = "mark('on')\nwhile True: os.write(1, b'progress=continue\\n'); time.sleep(0.5)"
    running = asyncio.create_task(runner.run(python(code), cwd=tmp_path, on_line=nobody, beat=pulse))
    await marked(tmp_path / "on")
    began = time.monotonic() - pulse._began
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(4):
            await running
    assert pulse.within(began, began + 4) <= 1, "one, of what it did before"


async def test_what_a_process_did_is_counted() -> None:
    before = await asyncio.to_thread(exertion, os.getpid())
    ends = time.thread_time() + 0.1
    while time.thread_time() < ends:
        pass
    after = await asyncio.to_thread(exertion, os.getpid())
    assert after.cpu - before.cpu >= 0.05


async def test_of_a_process_that_is_gone_nothing_is_known() -> None:
    assert await asyncio.to_thread(exertion, 2**22 + 1) == Exertion(0, 0)


@pytest.mark.parametrize(
    ("cpu", "disk", "after", "works"),
    [
        (0.0, 0, 1, False),
        (LEAST_CPU, 0, 1, True),
        (LEAST_CPU - 0.01, 0, 1, False),
        (0.0, LEAST_DISK, 1, True),
        (0.0, LEAST_DISK - 1, 1, False),
        (0.12, 0, 300, False),  # what printing that nothing moves costs in five minutes
        (3.0, 0, 300, True),
    ],
)
def test_work_is_a_hundredth_of_a_core_or_bytes_of_the_disk(cpu: float, disk: int, after: float, works: bool) -> None:
    assert ExertionMeter(10.0).works(10.0 + after, Exertion(cpu, disk)) is works


def test_work_is_measured_from_the_last_that_was_seen() -> None:
    meter = ExertionMeter(0)
    assert meter.works(1, Exertion(1.0, 0))
    assert not meter.works(100, Exertion(1.0, 0))
    assert not meter.works(101, Exertion(1.1, 0)), "a tenth of a second in a hundred"
    assert meter.works(102, Exertion(2.1, 0))
