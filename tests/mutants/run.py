"""Plant each bug of the lists in a copy of the package and see that the tests named beside it find it.

    python tests/mutants/run.py [part of a bug's name ...]

Ends with 1 if a bug survives, a patch no longer applies, a named test is not there, or the tests fail without a bug.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

sys.path.insert(0, str(Path(__file__).parent))

from mutant import Mutant
from planted_memory import MEMORY
from planted_rules import RULES
from planted_runs import RUNS
from planted_sqlite import SQLITE

ROOT = Path(__file__).parents[2]
COPIES = max(2, (os.cpu_count() or 2) // 2)
LONGEST_TEST = 30
PASSED, FAILED = 0, 1


class Workshop:
    """Copies of the package and its tests, one for each bug that is being looked for at a time."""

    def __init__(self, folder: Path) -> None:
        self.copies: SimpleQueue[Path] = SimpleQueue()
        for n in range(COPIES):
            copy = folder / f"copy-{n}"
            shutil.copytree(ROOT / "secondunit", copy / "secondunit")
            for part in ("contract", "unit", "property"):
                shutil.copytree(ROOT / "tests" / part, copy / "tests" / part)
            shutil.copy2(ROOT / "tests" / "conftest.py", copy / "tests")
            shutil.copy2(ROOT / "pyproject.toml", copy)
            self.copies.put(copy)

    def verdict(self, mutant: Mutant) -> str:
        """What became of the bug: "killed", or why not."""
        copy = self.copies.get()
        path = copy / "secondunit" / "queue" / mutant.file
        source = path.read_text()
        found = source.count(mutant.old)
        try:
            if found != 1:
                return f"DOES NOT APPLY: its text stands {found} times in {mutant.file}"
            _write(path, source.replace(mutant.old, mutant.new))
            return _judged(_pytest(copy, mutant.killers))
        finally:
            _write(path, source)
            self.copies.put(copy)

    def unmutated(self, mutants: Sequence[Mutant]) -> subprocess.CompletedProcess[str]:
        """The run of all named tests without any bug."""
        copy = self.copies.get()
        try:
            return _pytest(copy, sorted({test for mutant in mutants for test in mutant.killers}))
        finally:
            self.copies.put(copy)


def main(wanted: Sequence[str]) -> int:
    """Run those bugs whose names contain a wanted part; all without any."""
    everything = [*RULES, *MEMORY, *SQLITE, *RUNS]
    mutants = [mutant for mutant in everything if not wanted or any(part in mutant.name for part in wanted)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(COPIES) as pool:
        workshop = Workshop(Path(folder))
        healthy = pool.submit(workshop.unmutated, mutants)
        verdicts = pool.map(workshop.verdict, mutants)
        bad = 0
        for mutant, verdict in zip(mutants, verdicts, strict=True):
            bad += not verdict.startswith("killed")
            print(f"{verdict:12} {mutant.file:26} {mutant.name}", flush=True)
        baseline = healthy.result()
    if baseline.returncode != PASSED:
        print(f"the tests fail without any bug:\n{baseline.stdout[-4000:]}{baseline.stderr[-2000:]}")
    print(f"{len(mutants) - bad} of {len(mutants)} bugs killed in {time.monotonic() - began:.0f} s")
    return 1 if bad or baseline.returncode != PASSED or not mutants else 0


def _pytest(copy: Path, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    flags = ["-q", "-x", "--tb=no", "-p", "no:cacheprovider", f"--timeout={LONGEST_TEST}"]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *flags, *tests],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _judged(run: subprocess.CompletedProcess[str]) -> str:
    if run.returncode == PASSED:
        return "SURVIVED"
    if run.returncode == FAILED and "\nFAILED " in run.stdout:
        return "killed"
    return f"NOT JUDGED: pytest ended with {run.returncode}: {(run.stdout + run.stderr)[-300:]!r}"


def _write(path: Path, source: str) -> None:
    # a time of its own for each version: Python takes a compiled file for current by its source's time and size
    moment = path.stat().st_mtime + 10
    path.write_text(source)
    os.utime(path, (moment, moment))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
