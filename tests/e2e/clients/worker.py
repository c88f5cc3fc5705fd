"""Serves the type of test_leases.py by the client that it is told: `sync|async URL KEY NAME GRACE`."""

import asyncio
import signal
import sys
import threading
import time
from functools import partial
from typing import Any

from secondunit.client.aio import AsyncClient
from secondunit.client.aio_work import AsyncRun
from secondunit.client.errors import ClientError
from secondunit.client.leases import Partial, WorkFailed
from secondunit.client.sync import Client
from secondunit.client.sync_work import Run

KIND, URL, KEY, NAME, GRACE = sys.argv[1:]
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has jobs in its background ignore it


def other(do: str) -> Any:
    """What needs no client."""
    if do == "partial":
        return Partial({"done": 1}, ["the rest"])
    if do == "refuse":
        raise WorkFailed("it is odd", type="odd")
    if do == "huge":
        return "x" * (2 << 20)
    raise RuntimeError("it broke")


def worked(run: Run) -> Any:
    """The work of a thread."""
    if run.payload["do"] == "steps":
        total = 0
        for n in range(1, run.payload["n"] + 1):
            total += run.step(f"n-{n}", partial(int, n))
            run.progress(100 * n / run.payload["n"], f"at {n}")
        run.artifact("sum.txt", str(total).encode())
        return {"sum": total}
    if run.payload["do"] != "sleep":
        return other(run.payload["do"])
    try:
        for _ in range(run.payload["n"] * 50):
            run.check()
            time.sleep(0.02)
    except ClientError as why:
        print(f"stopped: {why}", flush=True)
        raise
    return None


async def worked_on(run: AsyncRun) -> Any:
    """The work of a task."""

    async def itself(n: int) -> int:
        return n

    if run.payload["do"] == "steps":
        total = 0
        for n in range(1, run.payload["n"] + 1):
            total += await run.step(f"n-{n}", partial(itself, n))
            run.progress(100 * n / run.payload["n"], f"at {n}")
        await run.artifact("sum.txt", str(total).encode())
        return {"sum": total}
    if run.payload["do"] != "sleep":
        return other(run.payload["do"])
    try:
        await asyncio.sleep(run.payload["n"])
    except asyncio.CancelledError:
        print(f"stopped: {run.why}", flush=True)
        raise
    return None


async def main() -> None:
    """Until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with AsyncClient(URL, KEY) as client:
        await client.work(["count"], worked_on, worker=NAME, stop=stop, grace=float(GRACE))


if KIND == "async":
    asyncio.run(main())
else:
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    Client(URL, KEY).work(["count"], worked, worker=NAME, stop=over, wait=2, grace=float(GRACE))
