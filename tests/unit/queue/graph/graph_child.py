"""A process that works off a queue file and says each end on stdout; it is killed at will by test_kill.py."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from secondunit.queue import state
from secondunit.queue.model import Job
from secondunit.queue.outcome import Completed, Failed, JobError
from secondunit.queue.running.leases import reclaim
from secondunit.queue.stores.sqlite.store import open_store
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import NoJitter

TTL = timedelta(hours=1)
BROKEN = Failed(JobError("deterministic", "broken", "it is broken"))


async def main(path: str, boot: str) -> None:
    """Run what is ready until nothing is queued; jobs of the type `bad` fail."""
    store, clock = await open_store(Path(path)), ManualClock()
    await reclaim(store, clock, boot)
    print("open", flush=True)
    while (await store.counts()).queued:
        for suspect in await store.suspects():
            await store.change(suspect.id, lambda job: state.start(job, boot, TTL, clock.now()))
        claimed = await store.claim({"good": 50, "bad": 50}, 50, boot, TTL, clock.now())
        for job in [*await store.suspects(), *claimed]:
            await _end(job, store, clock)
    print("done", flush=True)
    await store.close()


async def _end(job: Job, store: object, clock: ManualClock) -> None:
    outcome = BROKEN if job.type == "bad" else Completed({"id": job.id})
    await store.change(job.id, lambda now: state.settle(now, outcome, NoJitter(), clock.now()), lease=job.lease)  # type: ignore[attr-defined]
    print(job.id, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
