"""Many boxes on one PostgreSQL server: what the server pays, and how soon jobs start.

python benchmarks/crowd.py [--boxes 1 3 10 30 100] [--seconds N] [--run-seconds N]

Each box is a store, a worker and a lease keeper, as the daemon puts them together; all boxes share a few processes,
since it is the server that is measured. At each size a full queue is drained by jobs that do nothing, which is the most
that the server can take; then every slot of every box is kept busy by jobs that last `--run-seconds` and tell their
progress each second, as media jobs do. Told as JSON, a line for each size.
"""

import argparse
import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.synchronize import Event as Signal
from pathlib import Path

import psutil
import psycopg
import uvloop
from machine import describe
from pydantic import BaseModel
from server import Server, serving

from secondunit.daemon.process import logs
from secondunit.daemon.process.clock import SystemClock
from secondunit.daemon.process.log_sink import STDERR, LogSink
from secondunit.daemon.process.randomness import StockedRandom
from secondunit.handlers.tools.storage.workspace import WorkFolders
from secondunit.queue.handler import HandlerSpec, JobContext, Registry
from secondunit.queue.hub import Hub
from secondunit.queue.model import Submission
from secondunit.queue.running.execution import Runtime
from secondunit.queue.running.leases import keep
from secondunit.queue.running.worker import Worker
from secondunit.queue.service import Queue
from secondunit.queue.stores.postgres.store import open_store

TTL = timedelta(seconds=30)
SLOTS, PROCESSES, AT_ONCE = 10, 4, 100
CONNECTIONS = 600  # a hundred boxes take up to five each
LOADED = 0.8  # of all slots
FIGURES = """
select (select xact_commit + xact_rollback from pg_stat_database where datname = current_database()),
       (select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()),
       pg_current_wal_lsn() - '0/0'::pg_lsn, pg_database_size(current_database()),
       (select coalesce(sum(n), 0)::bigint from counts where status = 'completed')
"""
LATE = """
select percentile_cont(0.5) within group (order by late), percentile_cont(0.99) within group (order by late)
from (select (started_at - created_at) / 1000.0 as late from jobs where started_at is not null and created_at > %s) j
"""


class Payload(BaseModel):
    """How many seconds to run."""

    seconds: int = 0


async def pretend(ctx: JobContext, payload: Payload) -> Mapping[str, int]:
    """Take so long, and tell of it each second."""
    for second in range(payload.seconds):
        await asyncio.sleep(1)
        await ctx.progress((second + 1) / payload.seconds)
    return {"seconds": payload.seconds}


REGISTRY = Registry([HandlerSpec("pretend", Payload, pretend, concurrency=SLOTS)])


@asynccontextmanager
async def box(url: str, name: str, folder: Path) -> AsyncIterator[None]:
    """A box that claims, runs and beats."""
    clock, random, hub = SystemClock(), StockedRandom(), Hub()
    store = await open_store(url)
    runtime = Runtime(store, hub, clock, random, WorkFolders(folder))
    worker = Worker(runtime, REGISTRY, boot=f"{name}/{random.randbytes(8).hex()}", ttl=TTL, most=SLOTS)
    store.listen(hub.publish)
    async with asyncio.TaskGroup() as tasks:
        loops = [tasks.create_task(worker.run()), tasks.create_task(keep(worker, store, clock))]
        yield
        for loop in loops:
            loop.cancel()
    await store.close()


async def play(url: str, names: Sequence[str], folder: Path, up: Signal, over: Signal) -> None:
    """Be these boxes until it is over."""
    async with AsyncExitStack() as boxes:
        for name in names:
            await boxes.enter_async_context(box(url, name, folder))
        up.set()
        await asyncio.to_thread(over.wait)


def player(url: str, names: Sequence[str], folder: Path, up: Signal, over: Signal) -> None:
    """The same, as a process."""
    logs.configure("json", "error", (), LogSink(STDERR))
    uvloop.run(play(url, names, folder, up, over))


@contextmanager
def boxes(url: str, number: int, folder: Path) -> Iterator[None]:
    """So many of them, up."""
    context = multiprocessing.get_context("spawn")
    over, players = context.Event(), []
    names = [f"box{n}" for n in range(number)]
    for first in range(min(PROCESSES, number)):
        up = context.Event()
        process = context.Process(target=player, args=(url, names[first::PROCESSES], folder, up, over))
        process.start()
        players.append((process, up))
    try:
        for process, up in players:
            while not up.wait(1):
                if not process.is_alive():
                    raise SystemExit("a player of boxes ended before they were up")
        yield
    finally:
        over.set()
        for process, _ in players:
            process.join()


@dataclass(frozen=True, slots=True)
class Look:
    """The server at one moment."""

    at: float
    cpu: float
    transactions: int
    connections: int
    wal: int
    size: int
    ended: int

    def since(self, before: "Look") -> dict[str, float]:
        """What it did since an earlier look, by the second."""
        seconds = self.at - before.at
        ended = self.ended - before.ended
        return {
            "jobs_per_second": round(ended / seconds, 1),
            "transactions_per_second": round((self.transactions - before.transactions) / seconds),
            "server_cores": round((self.cpu - before.cpu) / seconds, 3),
            "wal_bytes_a_job": round((self.wal - before.wal) / ended) if ended else 0,
            "connections": self.connections,
        }


class Watched:
    """A server whose database of this URL is looked at."""

    def __init__(self, server: Server) -> None:
        self._processes: dict[int, float] = {}
        self._parent = psutil.Process(server.process_id)
        self._connection = psycopg.connect(server.url, autocommit=True)

    def look(self) -> Look:
        """Now."""
        figures = self._connection.execute(FIGURES).fetchone()
        return Look(time.monotonic(), self._cpu(), *map(int, figures or ()))

    def late(self, after: float) -> dict[str, float | None]:
        """Milliseconds from the submit to the start of jobs that came since; None where none of them has started."""
        found = self._connection.execute(LATE, (int(after * 1e6),)).fetchone() or (None, None)
        p50, p99 = (None if late is None else round(late) for late in found)
        return {"start_p50_ms": p50, "start_p99_ms": p99}

    def close(self) -> None:
        """No more looks."""
        self._connection.close()

    def _cpu(self) -> float:
        """Seconds of all its processes, also of those that are gone."""
        for process in [self._parent, *self._parent.children(recursive=True)]:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            self._processes[process.pid] = times.user + times.system
        return sum(self._processes.values())


async def drained(queue: Queue, watched: Watched, jobs: int) -> dict[str, float]:
    """Jobs that do nothing, submitted by the hundred, until all have ended."""
    before = watched.look()
    for _ in range(0, jobs, AT_ONCE):
        await queue.submit_all([Submission("pretend", {})] * AT_ONCE)
    while (now := watched.look()).ended - before.ended < jobs:
        await asyncio.sleep(0.05)
    return now.since(before)


async def busied(queue: Queue, watched: Watched, number: int, seconds: int, each: int) -> dict[str, float | None]:
    """Jobs that last, as many as keep most slots of all boxes busy."""
    rate = LOADED * number * SLOTS / each
    began = time.monotonic()
    submitted, before, since = 0, watched.look(), 0.0
    while (passed := time.monotonic() - began) < each + seconds:
        if not since and passed >= each:  # the slots are filled by now
            before, since = watched.look(), time.time()
        due = int(passed * rate) - submitted
        if due > 0:
            await queue.submit_all([Submission("pretend", {"seconds": each})] * due)
            submitted += due
        await asyncio.sleep(0.05)
    return watched.look().since(before) | watched.late(since)


async def size(server: Server, number: int, args: argparse.Namespace, folder: Path) -> dict[str, object]:
    """All that is measured with so many boxes."""
    clock, random, hub = SystemClock(), StockedRandom(), Hub()
    store = await open_store(server.url)
    queue = Queue(store, REGISTRY, hub, clock, random)
    watched = Watched(server)
    try:
        with boxes(server.url, number, folder):
            before = watched.look()
            await asyncio.sleep(args.seconds)
            idle = watched.look().since(before)
            drain = await drained(queue, watched, args.jobs)
            busy = await busied(queue, watched, number, args.seconds, args.run_seconds)
            return {"boxes": number, "idle": idle, "drain": drain, "busy": busy, "bytes": watched.look().size}
    finally:
        watched.close()
        await store.close()


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boxes", type=int, nargs="+", default=[1, 3, 10, 30, 100])
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--run-seconds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=5000)
    args = parser.parse_args()
    logs.configure("json", "error", (), LogSink(STDERR))
    with tempfile.TemporaryDirectory(prefix="crowd-") as folder:
        print(*describe(Path(folder)), sep="\n", file=sys.stderr)
        for number in args.boxes:
            with serving(Path(folder) / "postgres.log", CONNECTIONS) as server:
                print(json.dumps(uvloop.run(size(server, number, args, Path(folder)))), flush=True)


if __name__ == "__main__":
    main()
