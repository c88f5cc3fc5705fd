"""All measurements in interleaved rounds; a whole run writes results.md and results.json, a part into .cache/bench.

python benchmarks/run.py [--quick] [--only WORD] [--rows N] [--rounds N] [--minutes N]
"""

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import beside
import ended
import report
import targets
from beside import LeftOut
from figures import Found
from machine import describe, load
from suite import Measurement, Size, measurements

HERE = Path(__file__).parent
CACHE = HERE.parent / ".cache" / "bench"
MILLION = 1_000_000
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says."""

    quick: bool
    only: str
    rows: int
    rounds: int
    minutes: float

    @property
    def alone(self) -> bool:
        """Whether nothing but the pairs with and without many rows is wanted."""
        return self.rows != MILLION

    @property
    def crowd(self) -> str:
        """What is said of a database with many rows."""
        return f", {self.rows / MILLION:g} M ended"


def main() -> int:
    """Measure, print, write; 1 if a measurement failed."""
    asked = _asked()
    CACHE.mkdir(parents=True, exist_ok=True)
    wanted = measurements(Size(asked.quick), asked.crowd, alone=asked.alone)
    chosen = [each for each in wanted if asked.only in each.name]
    found, began = Found(), time.monotonic()
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        about = describe(Path(folder))
        stage = Stage(Path(folder), asked.rows)
        if any(each.crowded for each in chosen):
            stage.fill()
        for name in dict.fromkeys(each.name for each in chosen):
            with contextlib.suppress(LeftOut):  # its measurement says so
                beside.NEEDS.get(name, _nothing)()
        failed = _rounds(asked, chosen, stage, found)
    about += [f"load average after: {load()}", f"took {(time.monotonic() - began) / 60:.0f} minutes"]
    verdicts = targets.judge(targets.targets(asked.crowd), found)
    if asked.only or asked.alone:
        verdicts = [each for each in verdicts if each.have is not None]
    text = "\n".join(report.page(about, found, verdicts))
    print(text)
    whole = asked.rounds >= ROUNDS and not (asked.quick or asked.only or failed)
    path = (HERE if whole else CACHE) / f"results{f'-{asked.rows}' if asked.alone else ''}.md"
    path.write_text(text + "\n")
    path.with_suffix(".json").write_text(json.dumps(report.values(about, found, verdicts), indent=1) + "\n")
    _say(f"written to {path}, each value to {path.with_suffix('.json').name}")
    return failed


@dataclass(frozen=True, slots=True)
class Stage:
    """Where measurements happen: each in a folder of its own, the crowded ones all in one."""

    folder: Path
    rows: int

    @property
    def crowd(self) -> Path:
        """The folder with many ended rows."""
        return self.folder / "crowd"

    def fill(self) -> None:
        """Make the many rows."""
        began = time.monotonic()
        ended.make(self.crowd, self.rows)
        size = (self.crowd / "queue.db").stat().st_size >> 20
        _say(f"{self.rows:,} ended rows, {size:,} MiB, made in {time.monotonic() - began:.0f} s")

    def play(self, measurement: Measurement, round: int, found: Found) -> None:
        """Measure once, and leave no trace but what was found."""
        home = self.crowd if measurement.crowded else self.folder / "one"
        home.mkdir(exist_ok=True)
        try:
            found.note(measurement.name, measurement.durability, round, measurement.measure(home))
        finally:
            if measurement.crowded:
                ended.tidy(home, self.rows)
            else:
                shutil.rmtree(home)


def _asked() -> Asked:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, without many rows")
    parser.add_argument("--only", default="", help="measurements whose name contains this")
    parser.add_argument("--rows", type=int, default=MILLION, help="so many ended rows, and only those")
    parser.add_argument("--rounds", type=int, help="at most so many (5, quick 1)")
    parser.add_argument("--minutes", type=float, help="after which nothing more is begun (16, quick 2.8)")
    told = parser.parse_args()
    rounds = told.rounds or (1 if told.quick else ROUNDS)
    return Asked(told.quick, told.only, told.rows, rounds, told.minutes or (2.8 if told.quick else 16))


def _rounds(asked: Asked, chosen: Sequence[Measurement], stage: Stage, found: Found) -> int:
    failed, over = 0, time.monotonic() + asked.minutes * 60
    for round in range(asked.rounds):
        for each in chosen:
            if time.monotonic() > over:
                _say("out of time")
                return failed
            if round >= each.rounds or each.name in found.missing:
                continue
            began = time.monotonic()
            try:
                stage.play(each, round, found)
            except LeftOut as why:
                found.missing[each.name] = f"left out: {why}"
            except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
                found.missing[each.name] = f"FAILED: {type(error).__name__}: {error}"
                failed = 1
            said = found.missing.get(each.name, f"{time.monotonic() - began:.1f} s")
            _say(f"round {round + 1}: {each.name} {each.durability}: {said}")
    return failed


def _nothing() -> None:
    pass


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
