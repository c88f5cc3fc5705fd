"""What the figures were taken on: without it they mean nothing."""

import os
import platform
import sqlite3
import time
from pathlib import Path

import psutil


def describe(folder: Path) -> list[str]:
    """Lines about the machine, its disk at `folder` among them."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    p50, p99 = fsync_ms(folder)
    memory = psutil.virtual_memory().total / (1 << 30)
    return [
        f"{model}, {os.cpu_count()} CPUs, {memory:.0f} GiB, {platform.system()} {platform.release()}",
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        f"write of 4 KiB and fdatasync: p50 {p50:.2f} ms, p99 {p99:.2f} ms",
        f"load average before: {load()}",
    ]


def load() -> str:
    """The load average of one and five minutes."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg()[:2])


def fsync_ms(folder: Path, n: int = 200) -> tuple[float, float]:
    """p50 and p99 of an appended page's way to the disk."""
    path = folder / "fsync"
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(n):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    path.unlink()
    times.sort()
    return times[n // 2], times[n * 99 // 100]
