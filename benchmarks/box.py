"""One of our boxes on a queue in PostgreSQL, as the daemon puts it together, without its sockets.

python benchmarks/box.py make|work URL N CALLERS WORKERS
"""

import asyncio
import os
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop
from inprocess import TTL, Payload, noop
from peers.on_postgres import Submit, work

from secondunit.daemon.automation.backend_results import BackendResults
from secondunit.daemon.monitoring.delivery_log import DeliveryLog
from secondunit.daemon.monitoring.job_log import JobLog
from secondunit.daemon.monitoring.poison import PoisonedJobs
from secondunit.daemon.monitoring.prometheus.metrics import Metrics
from secondunit.daemon.process import logs
from secondunit.daemon.process.clock import SystemClock
from secondunit.daemon.process.log_sink import STDERR, LogSink
from secondunit.daemon.process.randomness import StockedRandom
from secondunit.handlers.tools.storage.workspace import WorkFolders
from secondunit.queue.handler import HandlerSpec, Registry
from secondunit.queue.hub import Hub
from secondunit.queue.instrumentation import Sinks
from secondunit.queue.model import Submission
from secondunit.queue.running import leases
from secondunit.queue.running.execution import Runtime
from secondunit.queue.running.worker import Worker
from secondunit.queue.service import Queue
from secondunit.queue.stores.postgres.store import open_store


async def box(stack: AsyncExitStack, url: str, workers: int, folder: Path) -> Submit:
    """A queue, its worker and its heartbeats, with what the daemon has listening."""
    clock, random = SystemClock(), StockedRandom()
    emit = Sinks(JobLog(clock), DeliveryLog(), Metrics(clock), PoisonedJobs(clock), BackendResults())
    hub = Hub(emit)
    store = await open_store(url, follow=clock.follow)
    stack.push_async_callback(store.close)
    registry = Registry([HandlerSpec("noop", Payload, noop, concurrency=workers)])
    runtime = Runtime(store, hub, clock, random, WorkFolders(folder), emit)
    boot = f"box{os.getpid()}/1"
    worker = Worker(runtime, registry, boot=boot, ttl=TTL, most=workers)
    queue = Queue(store, registry, hub, clock, random, coming=worker.look)
    store.listen(hub.publish)
    loops: list[Any] = [worker.run(), leases.keep(worker, store, clock), leases.take_over(store, clock, boot)]
    tasks = [asyncio.create_task(loop) for loop in loops]
    stack.push_async_callback(asyncio.wait, tasks)
    stack.callback(lambda: [task.cancel() for task in tasks])
    return lambda n: queue.submit(Submission("noop", {"n": n}))


async def main() -> None:
    """Make the tables, or be a box."""
    what, url, n, callers, workers = sys.argv[1:]
    if what == "make":
        await (await open_store(url)).close()
        return
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            await work(await box(stack, url, int(workers), Path(folder)), int(n), int(callers))


if __name__ == "__main__":
    logs.configure("json", "warning", (), LogSink(STDERR))
    uvloop.run(main())
