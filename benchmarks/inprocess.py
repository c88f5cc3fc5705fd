"""The queue without its sockets, as the daemon puts it together; one measurement a process, told as JSON.

python benchmarks/inprocess.py WHAT N full|normal FOLDER [ENDED ROWS]
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvloop
from pydantic import BaseModel
from rows import fill

from secondunit.daemon.automation.backend_results import BackendResults
from secondunit.daemon.monitoring.delivery_log import DeliveryLog
from secondunit.daemon.monitoring.job_log import JobLog
from secondunit.daemon.monitoring.machine import MachineGuard, disk_of, meminfo
from secondunit.daemon.monitoring.poison import PoisonedJobs
from secondunit.daemon.monitoring.prometheus.metrics import Metrics
from secondunit.daemon.process import garbage_collector, logs
from secondunit.daemon.process.clock import SystemClock
from secondunit.daemon.process.log_sink import STDERR, LogSink
from secondunit.daemon.process.randomness import StockedRandom
from secondunit.handlers.tools.storage.workspace import WorkFolders
from secondunit.queue.handler import HandlerSpec, JobContext, Registry
from secondunit.queue.hub import Hub
from secondunit.queue.instrumentation import Sinks
from secondunit.queue.model import Event, Submission
from secondunit.queue.running.admission import Admission
from secondunit.queue.running.execution import Runtime
from secondunit.queue.running.experience import Experience
from secondunit.queue.running.worker import Worker
from secondunit.queue.service import Queue
from secondunit.queue.stores.sqlite.store import SqliteStore, open_store

CALLERS = 64
TTL = timedelta(seconds=30)


class Payload(BaseModel):
    """A number."""

    n: int = 0


async def noop(ctx: JobContext, payload: Payload) -> dict[str, int]:
    """Do nothing."""
    return {"n": payload.n}


@dataclass(slots=True)
class Bench:
    """A queue and its worker, with what the daemon has listening."""

    store: SqliteStore
    queue: Queue
    worker: Worker
    started: dict[str, float]
    ended: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, events: Sequence[Event]) -> None:
        """Note when jobs start, and how many have ended."""
        now = time.perf_counter()
        for event in events:
            if event.name == "started":
                self.started[event.job_id] = now
            elif event.status.ended:
                self.ended += 1
                self.news.set()

    async def submit(self, n: int) -> str:
        """One job."""
        job, _ = await self.queue.submit(Submission("noop", {"n": n}))
        return job.id

    async def all_ended(self, n: int) -> None:
        """Return once so many have."""
        while self.ended < n:
            self.news.clear()
            await self.news.wait()


async def one_caller(bench: Bench, n: int) -> None:
    """Each submit waits for the one before."""
    for i in range(n):
        await bench.submit(i)


async def many_callers(bench: Bench, n: int) -> None:
    """64 of them share the jobs."""
    await asyncio.gather(*(one_caller(bench, n // CALLERS) for _ in range(CALLERS)))


async def batches(bench: Bench, n: int) -> None:
    """A hundred jobs a call."""
    for first in range(0, n, 100):
        await bench.queue.submit_all([Submission("noop", {"n": i}) for i in range(first, first + 100)])


async def drain(bench: Bench, n: int) -> None:
    """Run what waits."""
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.worker.run())
        await bench.all_ended(n)
        running.cancel()


async def end_to_end(bench: Bench, n: int) -> None:
    """Submit by 64 callers while the worker runs."""
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.worker.run())
        await many_callers(bench, n)
        await bench.all_ended(n // CALLERS * CALLERS)
        running.cancel()


async def pickup(bench: Bench, n: int) -> list[float]:
    """Milliseconds from a call of submit on an idle queue to the job's start."""
    times = []
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.worker.run())
        for i in range(n):
            await asyncio.sleep(0.01)
            began = time.perf_counter()
            job_id = await bench.submit(i)
            await bench.all_ended(i + 1)
            times.append((bench.started[job_id] - began) * 1000)
        running.cancel()
    return sorted(times)


async def claim(bench: Bench, n: int) -> list[float]:
    """Milliseconds of the thread that claims one job, beside 100,000 delayed ones; the commit is left out."""
    from secondunit.queue.stores.sqlite import claims

    await batches(bench, n)
    times = []

    def timed(tx: Any) -> None:
        began = time.thread_time()
        claims.claim(tx, {"noop": 1}, 1, "bench", TTL, SystemClock().now())
        tx.flush()
        times.append((time.thread_time() - began) * 1000)

    for _ in range(n):
        await bench.store._writer.run(timed)  # noqa: SLF001  the port does not tell the claim from its commit
    return sorted(times)


async def claims_by_one(bench: Bench, n: int) -> None:
    """Each job claimed by itself, with a commit of its own, as a worker with one free slot does; none is run."""
    for _ in range(n):
        await bench.store.claim({"noop": n}, 1, "bench", TTL, SystemClock().now())


GUARDED, RESERVING = "drain, guards on", "drain, each reserves space"
CLAIMS = "claims of one, as leases are"

WORK: dict[str, Any] = {
    "enqueue by 1 caller": one_caller,
    "enqueue by 64 callers": many_callers,
    "batches of 100": batches,
    "drain": drain,
    GUARDED: drain,
    RESERVING: drain,
    "end to end": end_to_end,
    "pickup": pickup,
    "claim": claim,
    CLAIMS: claims_by_one,
}


def guarded(bare: Runtime, registry: Registry, folder: Path) -> Runtime:
    """The same with what holds jobs up for want of room and learns of their runs, as the daemon has it."""
    types = [type for type, spec in registry.items() if spec.reserve]
    admission = Admission(bare.store, bare.hub, bare.clock, types, 1 << 20, disk_of(folder))
    experience = Experience(bare.store, registry, bare.clock, bare.emit, admission.reserved)
    short = MachineGuard(bare.clock, None, 1 << 20, meminfo)
    return replace(bare, reserved=experience.measured, short=short, over=experience.over)


async def measure(what: str, n: int, synchronous: str, folder: Path, ended: int) -> dict[str, float]:
    """One measurement: operations a second, CPU microseconds each; of times also p50 and p99."""
    path = folder / "queue.db"
    await (await open_store(path, synchronous=synchronous)).close()
    fill(path, ended=ended, delayed=100_000 if what == "claim" else 0)
    clock, random = SystemClock(), StockedRandom()
    emit = Sinks(JobLog(clock), DeliveryLog(), Metrics(clock), PoisonedJobs(clock), BackendResults())
    hub = Hub(emit)
    store = await open_store(path, synchronous=synchronous)
    reserve = (lambda _: 1 << 20) if what == RESERVING else None
    registry = Registry([HandlerSpec("noop", Payload, noop, concurrency=10, reserve=reserve)])
    runtime = Runtime(store, hub, clock, random, WorkFolders(folder), emit)
    if what in (GUARDED, RESERVING):
        runtime = guarded(runtime, registry, folder)
    worker = Worker(runtime, registry, boot="bench", ttl=TTL, most=10)
    bench = Bench(store, Queue(store, registry, hub, clock, random, coming=worker.look), worker, {})
    store.listen(hub.publish)
    hub.tap(bench.hear)
    if WORK[what] is drain or what == CLAIMS:
        await batches(bench, n)
    await store.engine.ping()
    garbage_collector.settle()
    cpu, wall = time.process_time(), time.perf_counter()
    try:
        times = await WORK[what](bench, n)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    finally:  # the process would not end otherwise
        await store.close()
    figures = {"per_second": n / wall, "cpu_us": cpu / n * 1e6}
    return figures | ({"p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100]} if times else {})


def main() -> None:
    """Measure what was asked for."""
    what, n, synchronous, folder, *more = sys.argv[1:]
    # What is not logged costs what it costs the daemon: with structlog's defaults it was a third of the loop's time.
    logs.configure("json", "warning", (), LogSink(STDERR))
    print(json.dumps(uvloop.run(measure(what, int(n), synchronous, Path(folder), int(more[0]) if more else 0))))


if __name__ == "__main__":
    main()
