"""The claim loop: fills the free room of each type with the next jobs, and drains."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from secondunit.queue.execution import Execution, House
from secondunit.queue.handler import Registry
from secondunit.queue.model import Event, JobId, Lease
from secondunit.queue.outcome import Released, Stopped

LONGEST_NAP = 5.0


class Worker:
    """Runs jobs under leases of this `boot`, at most `concurrency` of a type and `most` in all."""

    def __init__(self, house: House, registry: Registry, *, boot: str, ttl: timedelta, most: int) -> None:
        self.boot = boot
        self.ttl = ttl
        self.ticked = house.clock.monotonic()
        self._house = house
        self._registry = registry
        self._most = most
        self._running: dict[JobId, Execution] = {}
        self._draining = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        house.hub.tap(self._hear)

    async def run(self) -> None:
        """Claim and run until `drain` is over; cancelled, it takes its runs along."""
        async with asyncio.TaskGroup() as runs:
            while not (self._draining and not self._running):
                self._wake.clear()
                self.ticked = self._house.clock.monotonic()
                if not self._draining:
                    await self._claim(runs)
                await self._nap()
        self._idle.set()

    async def drain(self, grace: float) -> None:
        """Start nothing more; give what runs `grace` seconds, then stop it at no cost to its jobs."""
        self._draining = True
        self._wake.set()
        timer = asyncio.create_task(self._house.clock.sleep(grace))
        idle = asyncio.create_task(self._idle.wait())
        try:
            await asyncio.wait([timer, idle], return_when=asyncio.FIRST_COMPLETED)
            self.stop_all("the daemon shuts down")
            await idle
        finally:
            timer.cancel()
            idle.cancel()

    def stop_all(self, why: str) -> None:
        """Stop every run now; the jobs go back to the queue."""
        self._draining = True
        for execution in self._running.values():
            execution.stop(Released(why))
        self._wake.set()

    def stop_job(self, job_id: JobId) -> None:
        """The job was cancelled, or taken away by an operator: stop its run if it runs here."""
        if execution := self._running.get(job_id):
            execution.stop(Stopped())

    def lose(self, lease: Lease) -> None:
        """The lease no longer holds: its run must stop and write nothing."""
        execution = self._running.get(lease.job_id)
        if execution and execution.lease.epoch == lease.epoch:
            execution.lose()

    def leases(self) -> Sequence[Lease]:
        """The leases under which something runs here."""
        return [execution.lease for execution in self._running.values()]

    async def _claim(self, runs: asyncio.TaskGroup) -> None:
        house, busy = self._house, Counter(execution.type for execution in self._running.values())
        paused = await house.store.paused()
        room = {
            type: spec.concurrency - busy[type]
            for type, spec in self._registry.items()
            if type not in paused and spec.concurrency > busy[type]
        }
        limit = self._most - len(self._running)
        if not room or limit < 1:
            return
        jobs = await house.store.claim(room, limit, self.boot, self.ttl, house.clock.now())
        for job in jobs:
            if job.lease:
                execution = Execution(job, job.lease, self._registry[job.type], house)
                self._running[job.id] = execution
                runs.create_task(self._run(execution), name=f"run {job.id}")

    async def _run(self, execution: Execution) -> None:
        try:
            await execution.run()
        finally:
            del self._running[execution.job.id]
            self._wake.set()

    async def _nap(self) -> None:
        due = None if self._draining else await self._house.store.next_due(list(self._registry))
        seconds = LONGEST_NAP
        if due is not None:
            seconds = min(seconds, max(0.0, (due - self._house.clock.now()).total_seconds()))
        alarm = asyncio.create_task(self._house.clock.sleep(seconds))
        alarm.add_done_callback(lambda _: self._wake.set())
        try:
            await self._wake.wait()
        finally:
            alarm.cancel()

    def _hear(self, events: Sequence[Event]) -> None:
        if not events or any(event.name in ("queued", "retrying") for event in events):
            self._wake.set()
