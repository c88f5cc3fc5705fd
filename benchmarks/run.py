"""All measurements in interleaved rounds, printed and written to results.md.

python benchmarks/run.py [--quick] [--only WORD] [--five-million]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import overhttp
from machine import describe, load
from table import table

HERE = Path(__file__).parent
CACHE = HERE.parent / ".cache"
PEERS = CACHE / "peers"
Measure = Callable[[Path], Mapping[str, float]]
NAMES = {"per_second": "per second", "cpu_us": "CPU us each", "p50": "p50 ms", "p99": "p99 ms"}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--only", default="", help="measurements whose name contains this")
    parser.add_argument("--budget", type=float, help="seconds after which nothing more is begun (80 or 540)")
    parser.add_argument("--five-million", action="store_true", help="also with 5 million ended rows")
    asked = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    chosen = [(what, go) for what, go in measurements(asked.quick, asked.five_million) if asked.only in what]
    rounds = 1 if asked.quick else 5
    over = time.monotonic() + (asked.budget or (80 if asked.quick else 540))
    found: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        about = describe(Path(folder))
    for number in range(rounds):
        for what, go in chosen:
            if time.monotonic() > over:
                break
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                for figure, value in go(Path(folder)).items():
                    found.setdefault((what, NAMES.get(figure, figure)), []).append(value)
            print(f"round {number + 1}: {what}", file=sys.stderr, flush=True)
    about.append(f"load average after: {load()}")
    lines = ["# Benchmarks", "", *(f"- {line}" for line in about), "", *table(found)]
    print("\n".join(lines))
    if not asked.only:
        (HERE / "results.md").write_text("\n".join(lines) + "\n")


def measurements(quick: bool, five_million: bool) -> Iterator[tuple[str, Measure]]:
    """Each by its name; a round does them in this order."""
    few = 4 if quick else 1
    seconds = 1.0 if quick else 2.0
    for mode in ("full", "normal"):
        for what, n in (("enqueue by 1 caller", 1000), ("enqueue by 64 callers", 6400), ("batches of 100", 10_000),
                        ("drain", 2000), ("end to end", 1920)):  # fmt: skip
            yield f"{what}, {mode}", partial(_inprocess, what, n // few // 64 * 64, mode)
        for name in ("sqlite", "huey"):
            yield f"{name}, {mode}", partial(_peer, name, 1000 // few, mode)
    yield "pickup, in process", partial(_inprocess, "pickup", 100 // few, "full")
    yield "pickup, HTTP", lambda folder: overhttp.pickup(folder, 100 // few)
    yield "claim beside 100k delayed", partial(_inprocess, "claim", 300 // few, "full")
    for connections in (1, 16, 64):
        bare = partial(overhttp.submit_bare, connections=connections, seconds=seconds)
        yield f"bare aiohttp, {connections} connections", bare
        for mode in ("full", "normal") if connections == 64 else ("full",):
            ours = partial(overhttp.submit, connections=connections, seconds=seconds, synchronous=mode)
            yield f"submit, {connections} connections, {mode}", ours
    yield "HTTP batches of 100, full", partial(overhttp.batches, seconds=seconds, synchronous="full")
    yield "HTTP end to end, full", partial(overhttp.end_to_end, seconds=seconds, synchronous="full")
    yield "idle", lambda folder: overhttp.idle(folder, 3 if quick else 20)
    yield "1,000 readers, 10 events/s", lambda folder: overhttp.readers(folder, 2 if quick else 5)
    yield "start after kill -9, 100k queued", overhttp.after_kill
    for number, ended in (("1 M", 10**6), ("5 M", 5 * 10**6)):
        if not quick and (number == "1 M" or five_million):
            for what, n in (("enqueue by 64 callers", 6400), ("drain", 2000)):
                yield f"{what}, full, {number} ended", partial(_inprocess, what, n, "full", ended=ended)


def _inprocess(what: str, n: int, mode: str, folder: Path, ended: int = 0) -> Mapping[str, float]:
    return _told(["inprocess.py", what, str(n), mode, str(folder), str(ended)])


def _peer(name: str, n: int, mode: str, folder: Path) -> Mapping[str, float]:
    if name == "huey" and not (PEERS / "huey").exists():
        uv = HERE.parent / ".uv" / "bin" / "uv"
        command = [uv, "pip", "install", "--quiet", "--target", PEERS, "huey"]
        if not uv.exists() or subprocess.run(command, check=False).returncode:
            return {}
    return _told(["peers.py", name, str(n), mode, str(folder)])


def _told(arguments: list[str]) -> Mapping[str, float]:
    env = os.environ | {"PYTHONPATH": f"{HERE}:{PEERS}"}
    script, *rest = arguments
    answer = subprocess.run(
        [sys.executable, str(HERE / script), *rest], env=env, stdout=subprocess.PIPE, check=True, timeout=120
    )
    told: Mapping[str, float] = json.loads(answer.stdout)
    return told


if __name__ == "__main__":
    main()
