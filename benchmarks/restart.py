"""Starts: after a kill -9 in the middle of 100,000 queued jobs, and on any database, until the first job has ended."""

import time
from pathlib import Path

from asking import call
from daemons import daemon, metric

QUEUED, A_CALL = 100_000, 1000
WITHIN = 60.0
DONE = 'secondunit_jobs_total{status="completed",type="noop"}'


def after_kill(folder: Path) -> dict[str, float]:
    """Seconds from the start of the process."""
    with daemon(folder) as killed:
        call(killed.port, "POST", "/api/types/noop/pause")
        for _ in range(QUEUED // A_CALL):
            call(killed.port, "POST", "/api/jobs/batch", {"jobs": [{"type": "noop", "payload": {"n": 1}}] * A_CALL})
        call(killed.port, "POST", "/api/types/noop/resume")
        _wait_for_one(killed.port)
        killed.process.kill()
        killed.process.wait()
    began = time.perf_counter()
    with daemon(folder) as server:
        listens = time.perf_counter() - began
        _wait_for_one(server.port)
        return {"to listening s": listens, "to the first job's end s": time.perf_counter() - began}


def at_rest(folder: Path) -> dict[str, float]:
    """Seconds from the start of the process on what lies in the folder, if anything does."""
    began = time.perf_counter()
    with daemon(folder) as server:
        listens = time.perf_counter() - began
        call(server.port, "POST", "/api/jobs", {"type": "noop", "payload": {"n": 1}})
        _wait_for_one(server.port)
        return {"to listening s": listens, "to the first job's end s": time.perf_counter() - began}


def _wait_for_one(port: int) -> None:
    end = time.perf_counter() + WITHIN
    while not metric(port, DONE):
        if time.perf_counter() > end:
            raise TimeoutError(f"no job ended within {WITHIN:g} s")
        time.sleep(0.005)
