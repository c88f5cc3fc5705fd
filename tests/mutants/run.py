"""Plant each bug of the lists beside this file in a copy of the package and see that the tests it names find it.

    python tests/mutants/run.py [name of a list, or part of a bug's name ...]

Ends with 1 if a bug survives, a patch no longer applies, a named test is not there, or the tests fail without a bug.
"""

import faulthandler
import importlib
import os
import shutil
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AT_ONCE = 2
PASSED, FAILED, CRASHED = 0, 1, 99
PATIENCE = 300  # seconds for all killers of a bug: pytest's own limit does not end a fixture that waits for ever
STOOD_STILL = "Timeout (0:05:00)!"  # as faulthandler says it
# every run is a fork of this process: what all of them import is there already, and no bug is planted in it
WARM = ("hypothesis.stateful", "pytest_asyncio.plugin", "pytest_timeout", "blockbuster", "pydantic", "aiosqlite")


@dataclass(frozen=True, slots=True)
class Bug:
    """In `file` (below secondunit/queue) `old`, which must stand there once, becomes `new`; `killers` are test ids."""

    name: str
    file: str
    old: str
    new: str
    killers: Sequence[str]


@dataclass(frozen=True, slots=True)
class Bench:
    """A copy of the package and its tests in `folder`, in which one bug at a time is planted and looked for."""

    folder: Path

    def fill(self) -> None:
        """Copy what the runs need."""
        shutil.copytree(ROOT / "secondunit", self.folder / "secondunit")
        for folder in ("systemd", "docs"):
            shutil.copytree(ROOT / folder, self.folder / folder)
        for part in ("arch", "contract", "docs", "http", "openapi", "unit", "property"):
            shutil.copytree(ROOT / "tests" / part, self.folder / "tests" / part)
        for file in ("conftest.py", "pooler.py", "ports.py", "postgres_server.py"):
            shutil.copy2(ROOT / "tests" / file, self.folder / "tests")
        shutil.copy2(ROOT / "pyproject.toml", self.folder)

    def plant(self, bug: Bug) -> str | None:
        """Write the bug into the copy, or say why it can't be."""
        if bug.old:
            source = self._path(bug).read_text()
            if (found := source.count(bug.old)) != 1:
                return f"DOES NOT APPLY: its text stands {found} times in the file"
            (self.folder / "pristine").write_text(source)
            self._write(bug, source.replace(bug.old, bug.new))
        return None

    def restore(self, bug: Bug) -> None:
        """Take the bug out again."""
        if bug.old:
            self._write(bug, (self.folder / "pristine").read_text())

    def begin(self, work: Callable[[], int]) -> int:
        """Start `work` in a fork of this process, within the copy; its process id. It ends with what `work` returns."""
        sys.stdout.flush()
        if child := os.fork():
            return child
        code = CRASHED
        try:
            output = os.open(self.folder / "output", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.chdir(self.folder)
            os.environ["PYTHONPATH"] = str(self.folder)  # for tests that start a Python of their own
            sys.path[:] = [str(self.folder), *(part for part in sys.path if part not in ("", str(ROOT)))]
            code = work()
        except BaseException:  # noqa: BLE001  a child that goes on past here would be a second runner
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def output(self) -> str:
        """What the last run printed."""
        return (self.folder / "output").read_text(errors="replace")

    def _path(self, bug: Bug) -> Path:
        return self.folder / "secondunit" / "queue" / bug.file

    def _write(self, bug: Bug, source: str) -> None:
        # a time of its own for each version: Python tells by time and size whether a compiled file is current
        path = self._path(bug)
        moment = path.stat().st_mtime + 10
        path.write_text(source)
        os.utime(path, (moment, moment))


def main(wanted: Sequence[str]) -> int:
    """Look for the bugs of the lists, and those with the parts in their names, that are wanted; else for all."""
    bugs = [bug for list, bug in _bugs() if not wanted or list in wanted or any(part in bug.name for part in wanted)]
    if not bugs:
        print("no bug has such a name")
        return 1
    healthy = Bug("(none)", "state.py", "", "", sorted({test for bug in bugs for test in bug.killers}))
    for name in WARM:
        importlib.import_module(name)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        benches = [Bench(Path(folder) / str(n)) for n in range(AT_ONCE)]
        for bench in benches:
            bench.fill()
        bad = _look([healthy, *bugs], benches)
    print(f"{len(bugs)} bugs, {bad} complaints, {time.monotonic() - began:.0f} s")
    return 1 if bad else 0


def _bugs() -> list[tuple[str, Bug]]:
    lists = sorted(Path(__file__).parent.glob("*.toml"))
    return [(path.stem, Bug(**entry)) for path in lists for entry in tomllib.loads(path.read_text())["bug"]]


def _look(bugs: Sequence[Bug], benches: Sequence[Bench]) -> int:
    waiting, free = list(bugs), list(benches)
    running: dict[int, tuple[Bug, Bench]] = {}
    bad = 0
    while waiting or running:
        if waiting and free:
            bug, bench = waiting.pop(0), free.pop()
            if fault := bench.plant(bug):
                bad += _tell(bug, fault)
                free.append(bench)
            else:
                running[_begin(bug, bench)] = bug, bench
            continue
        child, status = os.wait()
        bug, bench = running.pop(child)
        bench.restore(bug)
        bad += _tell(bug, _verdict(bug, os.waitstatus_to_exitcode(status), bench.output()))
        free.append(bench)
    return bad


def _begin(bug: Bug, bench: Bench) -> int:
    warm = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    flags = ["-q", "-x", "--tb=line", "-p", "no:cacheprovider", "--timeout=30", *warm]

    def work() -> int:
        if bug.old:
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
        return int(pytest.main([*flags, *bug.killers]))

    return bench.begin(work)


def _verdict(bug: Bug, code: int, output: str) -> str:
    if not bug.old:
        return "healthy" if code == PASSED else f"FAILS WITHOUT A BUG\n{output[-3000:]}"
    if code == PASSED:
        return "SURVIVED"
    if STOOD_STILL in output:
        return "killed"
    # a test that fails half-way may leave what pytest stumbles over as it ends
    if code in (FAILED, CRASHED) and "\nFAILED " in output:
        return "killed"
    return f"NOT JUDGED: its tests ended with {code}\n{output[-1000:]}"


def _tell(bug: Bug, verdict: str) -> bool:
    print(f"{bug.file:26} {bug.name:65} {verdict}", flush=True)
    return verdict not in ("healthy", "killed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
