"""Servers to be measured: ours and the bare one, each a process of its own, with its CPU and memory."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).parent
KEY = "bench-" + "k" * 32


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens on `port`."""

    port: int
    process: "subprocess.Popen[bytes]"

    def cpu(self) -> float:
        """CPU seconds so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)


@contextlib.contextmanager
def daemon(folder: Path, synchronous: str = "full", **settings: str) -> Iterator[Server]:
    """Our daemon with a fresh port on this data folder, with a key, metrics, events and the no-op job type."""
    port = free_port()
    given = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    own = {
        "PORT": str(port),
        "DATA_DIR": str(folder),
        "QUEUE_URL": f"sqlite:///{folder}/queue.db?synchronous={synchronous}",
        "API_KEY": KEY,
        "RATE_LIMIT": "off",
        "MAX_CONCURRENT_JOBS": "10",
        "LOG_LEVEL": "warning",
        "MEDIA_ROOTS": str(media(folder)),
        "PYTHONPATH": str(HERE / "plugin"),
        "PYTHONSAFEPATH": "1",
    }
    command = [sys.executable, "-m", "secondunit", "run"]
    with _running(command, given | own | settings, folder / "log", port) as server:
        yield server


def media(folder: Path) -> Path:
    """Where the daemon on this data folder reads and writes media."""
    home = folder / "media"
    home.mkdir(exist_ok=True)
    return home


@contextlib.contextmanager
def bare(folder: Path) -> Iterator[Server]:
    """aiohttp alone."""
    port = free_port()
    with _running([sys.executable, str(HERE / "bare.py"), str(port)], dict(os.environ), folder / "log", port) as server:
        yield server


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait_for(port: int, seconds: float = 30) -> None:
    """Return once something listens."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if time.monotonic() > end:
            raise TimeoutError(f"nothing listens on {port}")
        time.sleep(0.01)


def metric(port: int, line: str) -> float:
    """A figure of /metrics, by the beginning of its line; 0 where there is none yet."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"X-API-Key": KEY})
    with urllib.request.urlopen(request, timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return next((float(each.rsplit(" ", 1)[1]) for each in lines if each.startswith(line)), 0.0)


def asked(port: int, path: str, content: Any) -> Any:
    """What the daemon answers to a POST."""
    headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(content).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@contextlib.contextmanager
def _running(command: list[str], env: dict[str, str], log: Path, port: int) -> Iterator[Server]:
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output)
    try:
        wait_for(port)
        yield Server(port, process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
