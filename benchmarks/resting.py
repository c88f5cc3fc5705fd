"""What the daemon costs while there is nothing to do, and how late its event loop is while there is far too much."""

import asyncio
import contextlib
import http.server
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from daemons import KEY, Server, daemon, metric
from load import load, post

SETTLES_IN = 4.0
LOOK_EVERY = 0.5
LAG = "secondunit_event_loop_lag_seconds"
Figures = dict[str, float]


class _Quiet(http.server.BaseHTTPRequestHandler):
    """A backend that knows of no failed analyses."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, format: str, *args: object) -> None:
        pass


def idle(folder: Path, seconds: float) -> Figures:
    """Active mode against a backend, keys, metrics, alerts, callbacks and every job type, over so many seconds."""
    with _backend() as url:
        on = {"PROCESSOR_MODE": "active", "BACKEND_API_URL": url, "INTERNAL_API_KEY": KEY, "ALERT_URL": url}
        on |= {"GEMINI_API_KEY": KEY, "GEMINI_BASE_URL": url, "GEOCODER_URL": url, "CALLBACK_SECRET": KEY}
        with daemon(folder, **on) as server:
            time.sleep(SETTLES_IN)
            metric(server.port, LAG)  # as a scraper does, now and then
            before = _cpu(server)
            time.sleep(seconds)
            used = (_cpu(server) - before) / seconds * 100
            return {"CPU %": round(used, 3), **_memory(server)}  # it comes in ticks of a hundredth of a second


def lag(folder: Path, seconds: float) -> Figures:
    """The most that the event loop was late while 64 connections submit no-op jobs and ten at a time run."""
    job = post("/api/jobs", {"type": "noop", "payload": {"n": 1}}, key=KEY)
    with daemon(folder) as server, ThreadPoolExecutor(1) as other:
        over = threading.Event()
        seen = other.submit(_lags, server.port, over)
        try:
            done = asyncio.run(load(server.port, job, 64, seconds))
        finally:
            over.set()
        if done.refused:
            raise RuntimeError(f"{done.refused} requests were refused")
        return {"lag ms": max(seen.result()) * 1000}


def _lags(port: int, over: threading.Event) -> list[float]:
    seen = [0.0]
    while not over.wait(LOOK_EVERY):
        seen.append(metric(port, LAG))
    return seen


@contextlib.contextmanager
def _backend() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _cpu(server: Server) -> float:
    """CPU seconds so far of the daemon and of children that have ended."""
    times = psutil.Process(server.process.pid).cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def _memory(server: Server) -> Figures:
    """Of the daemon and its children."""
    daemon = psutil.Process(server.process.pid)
    told = [each.memory_full_info() for each in (daemon, *daemon.children(recursive=True))]
    mib = 1 << 20
    return {"RSS MiB": sum(each.rss for each in told) / mib, "PSS MiB": sum(each.pss for each in told) / mib}
