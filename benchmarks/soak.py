"""An hour or so of steady load, and whether anything of the daemon grows: memory, descriptors, log, threads, lag.

python benchmarks/soak.py [--minutes N]
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import psutil
from daemons import KEY, Server, daemon, metric
from load import post
from machine import describe, load

CACHE = Path(__file__).parents[1] / ".cache" / "bench"
SUBMITS, READS, LISTS, READERS = 50, 50, 2, 50
LOOK_EVERY, SETTLES = 10.0, 0.2
LAG = "secondunit_event_loop_lag_seconds"


@dataclass(frozen=True, slots=True)
class Limit:
    """How much a figure may grow over the run and still be called flat, and the most it may be at any moment."""

    title: str
    grown: float
    most: float = math.inf


# The log is emptied when it is large or nothing happens, so it has teeth like a saw and no slope that says anything.
LIMITS = {
    "rss_mib": Limit("RSS MiB", 4),
    "descriptors": Limit("descriptors", 3),
    "wal_mib": Limit("WAL MiB", math.inf, 72),
    "threads": Limit("threads", 1),
    "lag_ms": Limit("event loop's lag ms", 10, 50),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """The daemon at one moment; `lag_ms` is the most since the sample before."""

    seconds: float
    rss_mib: float
    descriptors: float
    wal_mib: float
    threads: float
    lag_ms: float
    ended: float


@dataclass(frozen=True, slots=True)
class Trend:
    """One figure over the run: its line's slope an hour, what that makes over the run, and the most there was."""

    name: str
    first: float
    last: float
    most: float
    an_hour: float
    grown: float

    @property
    def flat(self) -> bool:
        """Whether it stays where it is, and below what it may be at most."""
        return self.grown <= LIMITS[self.name].grown and self.most <= LIMITS[self.name].most


def main() -> int:
    """Load, look, judge; 1 if something grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    minutes = parser.parse_args().minutes
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        about = describe(Path(folder))
        with daemon(Path(folder)) as server:
            samples = asyncio.run(_soak(server, Path(folder), minutes * 60))
    about += [f"load average after: {load()}", f"{minutes:g} minutes"]
    trends = judge(samples)
    lines = list(_page(about, samples, trends))
    print("\n".join(lines))
    (CACHE / "soak.md").write_text("\n".join(lines) + "\n")
    told = {"machine": about, "samples": [asdict(each) for each in samples]}
    (CACHE / "soak.json").write_text(json.dumps(told, indent=1) + "\n")
    return 0 if all(trend.flat for trend in trends) else 1


def judge(samples: Sequence[Sample]) -> Sequence[Trend]:
    """The trend of each figure, after the first fifth of the run, in which caches fill."""
    settled = samples[int(len(samples) * SETTLES) :]
    times = [each.seconds for each in settled]
    trends = []
    for name in LIMITS:
        values = [getattr(each, name) for each in settled]
        slope = _slope(times, values)
        trends.append(Trend(name, values[0], values[-1], max(values), slope * 3600, slope * (times[-1] - times[0])))
    return trends


def _slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Of the line with the least squares."""
    middle, mean = sum(times) / len(times), sum(values) / len(values)
    across = sum((at - middle) ** 2 for at in times)
    return (
        sum((at - middle) * (value - mean) for at, value in zip(times, values, strict=True)) / across if across else 0.0
    )


async def _soak(server: Server, folder: Path, seconds: float) -> Sequence[Sample]:
    jobs: list[str] = []
    heard = itertools.count()
    async with asyncio.TaskGroup() as tasks:
        load = [
            tasks.create_task(_steadily(server.port, SUBMITS, _submits(), lambda answer: _keep(jobs, answer))),
            tasks.create_task(_steadily(server.port, READS, _reads(jobs), lambda answer: None)),
            tasks.create_task(_steadily(server.port, LISTS, _lists(), lambda answer: None)),
            *(tasks.create_task(_listen(server.port, heard)) for _ in range(READERS)),
        ]
        samples = await _look(server, folder, seconds)
        for task in load:
            task.cancel()
    print(f"{len(samples)} samples, {next(heard):,} events read", file=sys.stderr)
    return samples


async def _look(server: Server, folder: Path, seconds: float) -> Sequence[Sample]:
    process, wal = psutil.Process(server.process.pid), folder / "queue.db-wal"
    samples: list[Sample] = []
    began, lag = time.monotonic(), 0.0
    with ThreadPoolExecutor(1) as other:
        asking = asyncio.get_running_loop().run_in_executor
        while (at := time.monotonic() - began) < seconds:
            lag = max(lag, await asking(other, metric, server.port, LAG))
            if at >= len(samples) * LOOK_EVERY:
                ended = await asking(
                    other, metric, server.port, 'secondunit_jobs_total{status="completed",type="noop"}'
                )
                size = wal.stat().st_size if wal.exists() else 0
                memory, threads = process.memory_info().rss / (1 << 20), process.num_threads()
                found = Sample(at, memory, process.num_fds(), size / (1 << 20), threads, lag * 1000, ended)
                print(
                    " ".join(f"{field.name}={getattr(found, field.name):.4g}" for field in fields(found)),
                    file=sys.stderr,
                )
                samples.append(found)
                lag = 0.0
            await asyncio.sleep(1)
    return samples


def _submits() -> Iterator[bytes]:
    for n in itertools.count():
        yield post("/api/jobs", {"type": "noop", "payload": {"n": n}}, key=KEY)


def _reads(jobs: Sequence[str]) -> Iterator[bytes]:
    for n in itertools.count():
        yield _get(f"/api/jobs/{jobs[n % len(jobs)]}" if jobs else "/health")


def _lists() -> Iterator[bytes]:
    yield from itertools.cycle([_get("/api/jobs?limit=50"), _get("/api/jobs?status=completed&type=noop")])


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {KEY}\r\n\r\n".encode()


def _keep(jobs: list[str], answer: bytes) -> None:
    jobs.append(json.loads(answer)["jobId"])
    del jobs[:-1000]


async def _steadily(port: int, a_second: float, requests: Iterator[bytes], hear: Callable[[bytes], None]) -> None:
    """One request after the other on one connection, so many a second."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        began = time.monotonic()
        for n, request in enumerate(requests):
            await asyncio.sleep(max(began + n / a_second - time.monotonic(), 0))
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            answer = await reader.readexactly(length)
            if int(head[9:12]) >= 300:
                raise RuntimeError(f"{request[:60]!r} was answered {answer[:200]!r}")
            hear(answer)
    finally:
        writer.close()


async def _listen(port: int, heard: "itertools.count[int]") -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(_get("/api/events"))
        while line := await reader.readline():
            if line.startswith(b"data: "):
                next(heard)
        raise ConnectionError("the daemon closed an event stream")
    finally:
        with contextlib.suppress(ConnectionError):
            writer.close()


def _page(about: Sequence[str], samples: Sequence[Sample], trends: Sequence[Trend]) -> Iterator[str]:
    yield from ("# Soak", "", *(f"- {line}" for line in about))
    steady = f"{SUBMITS} submits, {READS} reads and {LISTS} lists a second, {READERS} readers of all events"
    yield from (f"- {steady}; {samples[-1].ended:,.0f} jobs ran", "")
    yield "| figure | after a fifth | at the end | most | slope an hour | over the run | verdict |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | --- |"
    for each in trends:
        figures = (each.first, each.last, each.most, each.an_hour, each.grown)
        told = " | ".join(f"{figure:.3g}" for figure in figures)
        yield f"| {LIMITS[each.name].title} | {told} | {'flat' if each.flat else 'NOT FLAT'} |"


if __name__ == "__main__":
    sys.exit(main())
