"""What is measured, in the order of a round; what is compared stands side by side."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import beside
import boxes
import ladder
import leasing
import moments
import overhttp
import restart
import resting
import seen
from targets import ALWAYS, CLAIMS, FULL, LEASED, NORMAL, WAITING

HERE = Path(__file__).parent
NAMES = {"per_second": "jobs/s", "cpu_us": "CPU us a job", "p50": "p50 ms", "p99": "p99 ms"}
MODES = {FULL: "full", NORMAL: "normal"}
EACH_SECOND = "fsync each second"
Measure = Callable[[Path], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line of work: `measure` is given a folder of its own, or the one with many ended rows if it is `crowded`."""

    name: str
    durability: str
    measure: Measure
    rounds: int = 5
    crowded: bool = False


@dataclass(frozen=True, slots=True)
class Size:
    """How much of each: jobs by the tens in a quick run."""

    quick: bool

    def jobs(self, n: int) -> int:
        """So many in a whole run, a quarter in a quick one; a multiple of 64, for as many callers share them."""
        return (n // 4 if self.quick else n) // 64 * 64

    def seconds(self, whole: float, quick: float) -> float:
        """How long one lasts."""
        return quick if self.quick else whole


def measurements(size: Size, crowd: str, *, alone: bool) -> Sequence[Measurement]:
    """All of them, or `alone` those done twice; `crowd` is added to the name of the one over many ended rows."""
    if alone:
        return [each for pair in _pairs(size, crowd) for each in pair]
    return [*_queue(size, crowd), *_boxes(size), *_http(size, crowd), *_leases(size), *_box(size, crowd)]


def _pairs(size: Size, crowd: str) -> Iterator[tuple[Measurement, Measurement]]:
    for what, n in WORK:
        yield _both(_ours(what, size.jobs(n), FULL), crowd)
    for each in (_pickup(size), _claim(size), _submit(size, 64, FULL), _batches(size)):
        yield _both(each, crowd)


WORK = (("enqueue by 1 caller", 1024), ("enqueue by 64 callers", 12_800), ("batches of 100", 12_800),
        ("drain", 4096), ("end to end", 4096))  # fmt: skip


def _queue(size: Size, crowd: str) -> Iterator[Measurement]:
    jobs = size.jobs(2048)
    for mode in (FULL, NORMAL):
        for what, n in WORK:
            ours = _ours(what, size.jobs(n), mode)
            # A quick run has no time to make so many rows, a whole one none to do everything twice.
            twice = not size.quick and (what == "end to end" or (mode == FULL and what != "enqueue by 1 caller"))
            yield from _both(ours, crowd) if twice else [ours]
        if mode == FULL:
            yield from (_ours(f"drain, {how}", size.jobs(4096), mode) for how in ("guards on", "each reserves space"))
        yield Measurement("bare sqlite3 loop", mode, partial(beside.bare_sqlite, n=jobs, synchronous=MODES[mode]))
        yield Measurement("huey", mode, partial(beside.huey, n=jobs // 2, synchronous=MODES[mode]))
        yield Measurement("plainjob", mode, partial(beside.plainjob, n=jobs, synchronous=MODES[mode]))
        durability, appendfsync = (ALWAYS, "always") if mode == FULL else (EACH_SECOND, "everysec")
        yield Measurement("BullMQ", durability, partial(beside.bullmq, n=jobs, appendfsync=appendfsync))
    for each in (_pickup(size), _claim(size)):
        yield from [each] if size.quick else _both(each, crowd)


def _leases(size: Size) -> Iterator[Measurement]:
    yield _ours(CLAIMS, size.jobs(2048), FULL)
    yield Measurement(LEASED, FULL, partial(leasing.leased, n=size.jobs(2048)))
    yield Measurement(WAITING, FULL, partial(leasing.waiting, workers=200, seconds=size.seconds(40, 8)), 1)


def _boxes(size: Size) -> Iterator[Measurement]:
    n = size.jobs(3072) // 3 * 3
    yield Measurement("3 boxes, end to end", FULL, partial(boxes.ours, n=n), 3)
    yield Measurement("PgQueuer, 3 boxes", FULL, partial(boxes.pgqueuer, n=n), 3)
    yield Measurement("Procrastinate, 3 boxes", FULL, partial(boxes.procrastinate, n=n), 3)


def _http(size: Size, crowd: str) -> Iterator[Measurement]:
    seconds = size.seconds(1.5, 0.7)
    for connections in (1, 16, 64):
        bare = partial(overhttp.submit_bare, connections=connections, seconds=seconds)
        yield Measurement(f"bare aiohttp, {connections} connections", "", bare)
        ours = _submit(size, connections, FULL)
        yield from _both(ours, crowd) if connections == 64 and not size.quick else [ours]
    yield _submit(size, 64, NORMAL)
    limited = partial(overhttp.submit_limited, connections=64, seconds=2 * seconds)
    yield Measurement("HTTP submit with all limits", FULL, limited, 3)
    yield from [_batches(size)] if size.quick else _both(_batches(size), crowd)
    both = partial(overhttp.end_to_end, seconds=seconds)
    for mode in (FULL, NORMAL):
        yield Measurement("HTTP end to end", mode, partial(both, synchronous=MODES[mode]))
    yield Measurement("pickup from HTTP", FULL, partial(overhttp.pickup, n=size.jobs(256)))
    yield Measurement("event loop under load", FULL, partial(resting.lag, seconds=size.seconds(6, 3)), 3)
    if not size.quick:
        yield Measurement(f"pages and queries{crowd}", FULL, seen.pages_and_queries, 3, crowded=True)
    yield Measurement("1,000 readers, 10 events/s", FULL, partial(overhttp.readers, seconds=size.seconds(5, 2)), 3)


def _box(size: Size, crowd: str) -> Iterator[Measurement]:
    yield Measurement("start after kill -9, 100k queued", FULL, restart.after_kill, 3)
    yield Measurement("start", FULL, restart.at_rest, 3)
    if not size.quick:
        yield Measurement(f"start{crowd}", FULL, restart.at_rest, 3, crowded=True)
    yield Measurement("idle, all on", FULL, partial(resting.idle, seconds=size.seconds(30, 3)), 1)
    film = size.seconds(30, 12)  # the doubtful one has a key frame every 10: with one alone it would be copied
    yield Measurement("HLS ladder", "", partial(ladder.ours, seconds=film), 3)
    yield Measurement("bare ffmpeg, same graph", "", partial(ladder.same_graph, seconds=film), 3)
    yield Measurement("one ffmpeg a rung", "", partial(ladder.each_rung, seconds=film), 3)
    camera = {"seconds": film, "film": ladder.SURE}
    yield Measurement("HLS ladder, a rung copied", "", partial(ladder.ours, **camera), 3)
    yield Measurement("bare ffmpeg, every rung encoded", "", partial(ladder.same_graph, **camera), 3)
    yield Measurement("HLS, one rung, copied", "", partial(ladder.ours, **camera, rungs=1), 3)
    yield Measurement("bare ffmpeg, one rung", "", partial(ladder.same_graph, **camera, rungs=1), 3)
    yield Measurement("thumbnail, one", "", moments.one, 3)
    yield Measurement("thumbnail, ten in one GOP", "", moments.ten, 3)


def _ours(what: str, n: int, mode: str) -> Measurement:
    return Measurement(what, mode, partial(_in_process, what=what, n=n, mode=MODES[mode]))


def _pickup(size: Size) -> Measurement:
    measure = partial(_in_process, what="pickup", n=size.jobs(256), mode="full", figures=("p50", "p99"))
    return Measurement("pickup in process", FULL, measure, 3)


def _claim(size: Size) -> Measurement:
    measure = partial(_in_process, what="claim", n=size.jobs(512), mode="full", figures=("p50", "p99"))
    return Measurement("claim beside 100k delayed", FULL, measure, 3)


def _submit(size: Size, connections: int, mode: str) -> Measurement:
    measure = partial(overhttp.submit, connections=connections, seconds=size.seconds(1.5, 0.7), synchronous=MODES[mode])
    return Measurement(f"HTTP submit, {connections} connections", mode, measure)


def _batches(size: Size) -> Measurement:
    measure = partial(overhttp.batches, seconds=size.seconds(1.5, 0.7), synchronous="full")
    return Measurement("HTTP batches of 100", FULL, measure)


def _both(measurement: Measurement, crowd: str) -> tuple[Measurement, Measurement]:
    """It on an empty database, then on one with many ended rows, which takes seconds to open and is done less often."""
    crowded = replace(measurement, name=f"{measurement.name}{crowd}", rounds=3, crowded=True)
    return measurement, crowded


def _in_process(
    folder: Path, what: str, n: int, mode: str, figures: Sequence[str] = ("per_second", "cpu_us")
) -> Mapping[str, float]:
    argv = [sys.executable, HERE / "inprocess.py", what, n, mode, folder]
    answer = subprocess.run(
        [str(word) for word in argv],
        env=os.environ | {"PYTHONPATH": str(HERE)}, stdout=subprocess.PIPE, check=True, timeout=120,
    )  # fmt: skip
    told = json.loads(answer.stdout)
    return {NAMES[figure]: told[figure] for figure in figures}
