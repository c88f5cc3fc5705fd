"""Programs are stopped in time, and nothing of them is left, however they behave and whoever dies first."""

import asyncio
import os
import resource
import signal
import sys
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.testing.processes import (
    ESCAPED,
    STUBBORN,
    count,
    gone,
    is_there,
    living,
    marked,
    parent_of,
    python,
    until,
)

pytestmark = pytest.mark.slow  # each starts programs

SOON = timedelta(seconds=0.3)


async def test_a_grandchild_that_holds_the_pipes_does_not_hold_the_run(runner: ProcessRunner, tmp_path: Path) -> None:
    async with asyncio.timeout(30):
        finished = await runner.run(["sh", "-c", "sleep 60 & echo over"], cwd=tmp_path)

    assert finished.stderr == "over\n"


async def test_a_grandchild_that_escaped_into_a_session_of_its_own_ends_too(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    code = f"os.fork() or exec({ESCAPED!r})\nwhile not os.path.exists('escaped'): time.sleep(0.01)"
    assert (await runner.run(python(code), cwd=tmp_path)).returncode == 0

    assert not is_there(await marked(tmp_path / "escaped"))


async def test_orphans_are_reaped_while_the_program_runs(runner: ProcessRunner, tmp_path: Path) -> None:
    code = """
        if os.fork() == 0:
            if os.fork(): os._exit(0)
            mark('orphan')
            os._exit(0)
        os.wait()
        while not os.path.exists('done'): time.sleep(0.01)
    """
    running = asyncio.create_task(runner.run(python(code), cwd=tmp_path))
    orphan = await marked(tmp_path / "orphan")
    await until(lambda: not is_there(orphan))
    (tmp_path / "done").touch()
    await running


async def test_cancelling_ends_the_program_first(runner: ProcessRunner, tmp_path: Path) -> None:
    running = asyncio.create_task(runner.run(python("mark('started'); time.sleep(60)"), cwd=tmp_path))
    await marked(tmp_path / "started")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert await living(tmp_path) == []


async def test_cancelling_again_and_again_does_not_cut_the_stopping_short(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    running = asyncio.create_task(runner.run(python(STUBBORN), cwd=tmp_path))
    await marked(tmp_path / "stubborn")
    while not running.done():
        running.cancel()
        await asyncio.sleep(0.02)

    assert running.cancelled() and await living(tmp_path) == []


@pytest.mark.parametrize("delay", [0, 0.005, 0.02, 0.04])
async def test_cancelling_at_once_leaves_nothing(runner: ProcessRunner, tmp_path: Path, delay: float) -> None:
    running = asyncio.create_task(runner.run(python("time.sleep(60)"), cwd=tmp_path))
    await asyncio.sleep(delay)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_program_that_ignores_term_is_killed_after_the_grace(runner: ProcessRunner, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await runner.run(python(STUBBORN), cwd=tmp_path, timeout=SOON)

    assert time.monotonic() - began < 15


async def test_a_program_may_end_well_on_term(runner: ProcessRunner, tmp_path: Path) -> None:
    code = """
        def tidy(*_):
            os.write(1, bytes(1_000_000))  # more than a pipe holds
            mark('tidied')
            sys.exit()
        signal.signal(signal.SIGTERM, tidy)
        mark('on')
        time.sleep(60)
    """
    running = asyncio.create_task(ProcessRunner(sys.executable).run(python(code), cwd=tmp_path))
    await marked(tmp_path / "on")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert (tmp_path / "tidied").exists()


async def test_an_error_of_the_reader_stops_the_program_and_comes_through(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    async def on_line(line: str) -> None:
        raise KeyError(line)

    with pytest.raises(KeyError, match="y"):
        await runner.run(["yes"], cwd=tmp_path, on_line=on_line)


async def test_a_killed_launcher_takes_its_program_along(runner: ProcessRunner, tmp_path: Path) -> None:
    running = asyncio.create_task(runner.run(python("os.setsid(); mark('on'); time.sleep(60)"), cwd=tmp_path))
    os.kill(await parent_of(await marked(tmp_path / "on")), signal.SIGKILL)

    assert (await running).returncode == -signal.SIGKILL
    await gone(tmp_path)


async def test_a_start_for_want_of_descriptors_leaves_nothing(runner: ProcessRunner, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(fd.name) for fd in await asyncio.to_thread(lambda: list(Path("/proc/self/fd").iterdir())))
    failed = 0
    with ExitStack() as fillers:
        while (filler := os.open(os.devnull, os.O_RDONLY)) <= highest:  # so that no number below is free
            fillers.callback(os.close, filler)
        fillers.callback(os.close, filler)
        for spare in range(12):
            resource.setrlimit(resource.RLIMIT_NOFILE, (filler + 1 + spare, before[1]))
            try:
                await runner.run(["true"], cwd=tmp_path)
            except OSError:
                failed += 1
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert 6 <= failed < 12


async def test_many_at_once_do_not_mix(runner: ProcessRunner, tmp_path: Path) -> None:
    finished = await asyncio.gather(*(runner.run(["sh", "-c", f"echo {n}; exit {n}"], cwd=tmp_path) for n in range(10)))

    assert [(f.returncode, f.stderr) for f in finished] == [(n, f"{n}\n") for n in range(10)]


DAEMON = """
import asyncio, sys
from pathlib import Path
from secondunit.handlers.tools.programs.runner import ProcessRunner
asyncio.run(ProcessRunner(sys.executable).run(sys.argv[2:], cwd=Path(sys.argv[1])))
"""


async def test_when_the_daemon_is_killed_nothing_of_its_programs_stays_alive(tmp_path: Path) -> None:
    """The tree: a program that ignores TERM, a child of it, and a grandchild in a session of its own."""
    code = f"os.fork() or exec({ESCAPED!r})\nos.fork() or time.sleep(60)\n{STUBBORN}"
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DAEMON, str(tmp_path), *python(code), cwd=tmp_path
    )
    try:
        await marked(tmp_path / "escaped")
        await marked(tmp_path / "stubborn")
        await count(tmp_path, 5)  # with the launcher and the daemon itself, once those between are gone
    finally:
        daemon.kill()
        await daemon.wait()

    await gone(tmp_path)
