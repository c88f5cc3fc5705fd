"""Programs get what they need and nothing else, and what they print arrives, in bounds."""

import asyncio
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from secondunit.handlers.tools.programs.ports import Limits, Profile
from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.queue.instrumentation import Fact, PieceDone, follow_run
from secondunit.queue.outcome import Deterministic
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import new
from secondunit.testing.processes import FLOOD, python

pytestmark = pytest.mark.slow  # each starts programs


async def test_the_exit_code_and_both_outputs_arrive(runner: ProcessRunner, tmp_path: Path) -> None:
    lines: list[str] = []

    async def on_line(line: str) -> None:
        lines.append(line)

    argv = ["sh", "-c", "echo one; echo complaint >&2; printf 'two\\r\\nthree'; exit 3"]
    finished = await runner.run(argv, cwd=tmp_path, on_line=on_line)

    assert (finished.returncode, finished.stderr, lines) == (3, "complaint\n", ["one", "two", "three"])


async def test_each_line_of_stderr_is_heard_however_little_of_it_is_kept(runner: ProcessRunner, tmp_path: Path) -> None:
    heard: list[str] = []
    argv = python("import sys; print('first', 'x' * 200_000, 'last', sep='\\n', end='', file=sys.stderr)")
    finished = await runner.run(argv, cwd=tmp_path, on_error=heard.append)
    assert "first" not in finished.stderr and [heard[0], heard[-1]] == ["first", "last"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
async def test_death_by_a_signal_is_told_as_minus_its_number(
    runner: ProcessRunner, tmp_path: Path, number: signal.Signals
) -> None:
    finished = await runner.run(python(f"os.kill(os.getpid(), {number.value})"), cwd=tmp_path)

    assert finished.returncode == -number


async def test_a_missing_program_is_deterministic(runner: ProcessRunner, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a program")
    for program in ("no-such-program", str(tmp_path / "nothing"), str(tmp_path / "text")):
        with pytest.raises(Deterministic, match="can't run") as caught:
            await runner.run([program], cwd=tmp_path)
        assert caught.value.type == "program_missing"


async def test_a_followed_run_tells_a_programs_name_and_exit_code_and_never_its_arguments(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    facts: list[Fact] = []
    follow_run(new("a").job, ManualClock(), facts.append)
    script = tmp_path / "converter_child.py"
    script.write_text("raise SystemExit(4)")
    await runner.run(["sh", "-c", "exit 3", "hunter2"], cwd=tmp_path, profile=Profile("build"))
    await runner.run([sys.executable, "-I", str(script), "hunter2"], cwd=tmp_path, profile=Profile("python"))
    with pytest.raises(Deterministic, match="can't run"):
        await runner.run(["no-such-program", "hunter2"], cwd=tmp_path)
    told = [(fact.kind, fact.name, fact.fault, fact.figures) for fact in facts if isinstance(fact, PieceDone)]
    assert told == [
        ("program", "sh", None, {"profile": "build", "exit_code": 3}),
        ("program", "converter_child.py", None, {"profile": "python", "exit_code": 4}),
        ("program", "no-such-program", "Deterministic", told[2][3]),
    ]
    assert "hunter2" not in str(told) and str(tmp_path) not in str(told)


async def test_a_missing_folder_is_not_taken_for_a_missing_program(runner: ProcessRunner, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="can't work in"):
        await runner.run(["true"], cwd=tmp_path / "gone")


async def test_stdin_is_empty_unless_given(runner: ProcessRunner, tmp_path: Path) -> None:
    assert (await runner.run(["cat"], cwd=tmp_path)).stderr == ""
    big = b"0123456789abcdef" * 4000
    assert (await runner.run(["cat"], cwd=tmp_path, stdin=big)).stderr.encode() == big


async def test_the_environment_is_minimal(
    runner: ProcessRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    names = python("print(sorted(os.environ))")

    minimal = await runner.run(names, cwd=tmp_path)
    given = await runner.run(names, cwd=tmp_path, env={"ONLY": "this"})

    assert minimal.stderr == "['HOME', 'LANG', 'PATH', 'TMPDIR']\n"
    assert "ONLY" in given.stderr and "PATH" not in given.stderr


async def test_only_the_descriptors_that_are_passed_arrive(runner: ProcessRunner, tmp_path: Path) -> None:
    (tmp_path / "input").write_text("content")
    passed = os.open(tmp_path / "input", os.O_RDONLY)
    leaked = os.open(tmp_path / "input", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    try:
        show = python(f"print(sorted(os.listdir('/proc/self/fd'))); print(open('/proc/self/fd/{passed}').read())")
        finished = await runner.run(show, cwd=tmp_path, pass_fds=[passed])
    finally:
        os.close(passed)
        os.close(leaked)

    assert "content" in finished.stderr
    assert f"'{passed}'" in finished.stderr and f"'{leaked}'" not in finished.stderr


async def test_limits_are_effective(runner: ProcessRunner, tmp_path: Path) -> None:
    memory = python("try: bytearray(1 << 30)\nexcept MemoryError: print('refused')")
    write = python("signal.signal(signal.SIGXFSZ, signal.SIG_DFL); open('big', 'wb').write(bytes(100_000))")
    spin = python("while True: pass")

    assert "refused" in (await runner.run(memory, cwd=tmp_path, limits=Limits(address_space=1 << 29))).stderr
    assert "refused" in (await runner.run(memory, cwd=tmp_path, limits=Limits(own_memory=1 << 29))).stderr
    assert (await runner.run(write, cwd=tmp_path, limits=Limits(file_size=50_000))).returncode == -signal.SIGXFSZ
    assert (tmp_path / "big").stat().st_size == 50_000
    assert (await runner.run(spin, cwd=tmp_path, limits=Limits(cpu_seconds=1))).returncode == -signal.SIGXCPU


async def test_a_program_gives_way_to_others(runner: ProcessRunner, tmp_path: Path) -> None:
    own = str(min(os.nice(0) + 10, 19))
    show = python("print(os.nice(0), open('/proc/self/oom_score_adj').read(), os.getpid() == os.getsid(0))")

    assert (await runner.run(show, cwd=tmp_path)).stderr.split() == [own, "500", "False"]


async def test_signals_are_not_ignored_by_inheritance(runner: ProcessRunner, tmp_path: Path) -> None:
    finished = await runner.run(["sh", "-c", "grep -E 'Sig(Blk|Ign)' /proc/self/status"], cwd=tmp_path)

    assert [int(line.split()[1], 16) & 0x7FFFFFFF for line in finished.stderr.splitlines()] == [0, 0]


async def test_a_flood_on_both_pipes_is_bounded_and_stopped(runner: ProcessRunner, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(TimeoutError, match="ran longer"):
        await runner.run(python(FLOOD), cwd=tmp_path, log=log, timeout=timedelta(seconds=1))

    assert log.stat().st_size < 4.1 * 1024 * 1024


async def test_a_flood_of_lines_leaves_the_loop_to_others(runner: ProcessRunner, tmp_path: Path) -> None:
    async def on_line(line: str) -> None:
        pass

    worst, before = 0.0, time.monotonic()
    flood = asyncio.create_task(runner.run(["yes"], cwd=tmp_path, on_line=on_line))
    for _ in range(100):
        await asyncio.sleep(0)
        worst, before = max(worst, time.monotonic() - before), time.monotonic()
        await asyncio.sleep(0.005)
        before = time.monotonic()
    flood.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flood

    assert worst < 1


async def test_a_line_without_end_is_cut(runner: ProcessRunner, tmp_path: Path) -> None:
    lines: list[str] = []

    async def on_line(line: str) -> None:
        lines.append(line)

    await runner.run(python("os.write(1, b'x' * 3_000_000 + b'\\nnext\\n')"), cwd=tmp_path, on_line=on_line)

    assert [len(line) for line in lines] == [1024 * 1024, 4]


async def test_the_last_64_kb_of_stderr_are_kept_and_all_of_it_logged(runner: ProcessRunner, tmp_path: Path) -> None:
    log = tmp_path / "log"
    finished = await runner.run(python("os.write(2, b'a' * 100_000 + b'the end')"), cwd=tmp_path, log=log)

    assert len(finished.stderr) == 64 * 1024 and finished.stderr.endswith("the end")
    assert log.stat().st_size > 100_000 and log.read_text().startswith("$ ")
    assert log.stat().st_mode & 0o777 == 0o600


async def test_a_log_that_cannot_be_written_fails_nothing(runner: ProcessRunner, tmp_path: Path) -> None:
    finished = await runner.run(["sh", "-c", "echo said"], cwd=tmp_path, log=tmp_path / "no" / "log")

    assert finished.stderr == "said\n"
