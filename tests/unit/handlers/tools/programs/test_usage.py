"""What real programs took, as their run is told: CPU time, memory, bytes, processes, children's too."""

import asyncio
from pathlib import Path

from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.queue.ports.usage import Meter, metered_by
from secondunit.testing.processes import python

BURN = "end = time.process_time() + {}\nwhile time.process_time() < end: pass"


async def test_what_a_program_and_its_children_took_counts_for_the_run(runner: ProcessRunner, tmp_path: Path) -> None:
    meter = Meter()
    metered_by(meter)
    child = f"hoard = b'x' * (64 << 20)\n{BURN.format(0.2)}\nos._exit(0)"
    code = f"if os.fork() == 0:\n    {child.replace(chr(10), chr(10) + '    ')}\nos.wait()\n{BURN.format(0.2)}"
    await runner.run(python(code), cwd=tmp_path)
    told = (meter.figures(None) or {})["resources"]
    assert 0.4 <= told["cpuSeconds"] < 5 and told["maxRssBytes"] > 64 << 20 and told["peakProcesses"] >= 1


async def test_the_short_ones_count_too_and_each_processes_own_launcher_does_not(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    meter = Meter()
    metered_by(meter)
    await asyncio.gather(*(runner.run(python(BURN.format(0.05)), cwd=tmp_path) for _ in range(2)))
    told = (meter.figures(None) or {})["resources"]
    assert told["cpuSeconds"] >= 0.1 and told["maxRssBytes"] < 60 << 20


async def test_processes_that_live_are_counted(runner: ProcessRunner, tmp_path: Path) -> None:
    meter = Meter()
    metered_by(meter)
    code = "for _ in range(3):\n    if os.fork() == 0: time.sleep(60)\nmark('on')\ntime.sleep(60)"
    running = asyncio.create_task(runner.run(python(code), cwd=tmp_path))
    async with asyncio.timeout(30):
        while ((meter.figures(None) or {}).get("resources") or {}).get("peakProcesses", 0) < 4:
            await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (meter.figures(None) or {})["resources"]["peakProcesses"] == 4
