"""Worker, the claim loop: fills the free room of each type with the next jobs, and drains."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from secondunit.queue.errors import StoreFull
from secondunit.queue.handler import Registry
from secondunit.queue.instrumentation import RunEnded, follow_run
from secondunit.queue.model import Event, Job, JobId, Lease
from secondunit.queue.outcome import Released, broke
from secondunit.queue.payloads.locality import ANYWHERE, Locality
from secondunit.queue.running.execution import Execution, Runtime
from secondunit.queue.running.nap import nap
from secondunit.queue.running.suspects import Suspects
from secondunit.queue.sight.room import Load

LONGEST_NAP = 5.0
STOPPED_ON_REQUEST = Released("stopped on request")
LEFT_AT_MOST = 8
STILL_THERE = broke("an earlier run of this job goes on and can't be stopped; restart the daemon, then retry the job")


class Worker:
    """Runs jobs under leases of this `boot`: of a type as many as the store's limit or its spec says, `most` in all."""

    def __init__(
        self,
        runtime: Runtime,
        registry: Registry,
        *,
        boot: str,
        ttl: timedelta,
        most: int,
        locality: Locality = ANYWHERE,
    ) -> None:
        self.boot = boot
        self.ttl = ttl
        self.ticked = runtime.clock.monotonic()
        self._runtime = runtime
        self._registry = registry
        self._most = most
        self._running: list[Execution] = []
        self._locality = locality
        self._suspects = Suspects(runtime.store, locality)
        self._left: list[Execution] = []
        self._draining = False
        self._drained = False
        self._stopped: Released | None = None
        self._early: dict[tuple[JobId, int], Callable[[Execution], None]] = {}
        self._due: tuple[Collection[str], datetime | None] | None = None
        self._hungry = False
        self._full = False
        self._short: str | None = None
        self._limits: Mapping[str, int] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        runtime.hub.tap(self._hear)

    async def run(self) -> None:
        """Claim and run until `drain` is over; cancelled, it takes its runs along."""
        async with asyncio.TaskGroup() as tasks:
            while not (self._draining and not self._running):
                self._wake.clear()
                self.ticked = self._runtime.clock.monotonic()
                room = await self._claim(tasks)
                self._hungry = bool(room)
                await self._nap(room)
                self._hungry = False
        self._idle.set()

    async def drain(self, grace: float) -> None:
        """Start nothing more; return once nothing runs, TimeoutError if that takes longer than `grace` seconds."""
        self._draining = True
        self._wake.set()
        timer = asyncio.create_task(self._runtime.clock.sleep(grace))
        idle = asyncio.create_task(self._idle.wait())
        try:
            await asyncio.wait([timer, idle], return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            idle.cancel()
        if not self._idle.is_set():
            raise TimeoutError(f"{len(self._running)} jobs still run after {grace:g} s")

    def stop_all(self, why: str) -> None:
        """Start nothing more and stop every run now; the jobs go back to the queue."""
        self._draining = True
        self._stopped = Released(why)
        for execution in self._running:
            execution.stop(self._stopped)
        self._wake.set()

    def hold(self, drained: bool) -> None:
        """Start nothing more for as long as this is wanted; what runs goes on to its end."""
        self._drained = drained
        self._wake.set()

    def stop_run(self, lease: Lease) -> None:
        """The job of this lease is to be cancelled: stop the run, if it runs here."""
        self._reach(lease, _stop)

    def look(self) -> None:
        """Jobs are about to be stored: a claim right behind them shares their transaction, and they start with it."""
        if self._hungry:
            self._wake.set()

    def lose(self, lease: Lease) -> None:
        """The lease no longer holds: its run must stop and write nothing."""
        self._reach(lease, Execution.lose)

    def leases(self) -> Sequence[Lease]:
        """The leases under which something runs here."""
        return [execution.lease for execution in self._running]

    def _reach(self, lease: Lease, move: Callable[[Execution], None]) -> None:
        """Move the run of this very lease, also one whose claim is on its way; never a later run of its job."""
        self._early[_run_of(lease)] = move
        for execution in self._running:
            if _run_of(execution.lease) == _run_of(lease):
                move(execution)

    def load(self) -> Load:
        """What is on its hands, as the next claim will see it."""
        running = [execution for execution in self._running if not execution.settling]
        busy = dict[str, int]()
        for execution in running:
            busy[execution.type] = busy.get(execution.type, 0) + 1
        if self._left:
            self._left = [execution for execution in self._left if execution.goes_on]
            for type, left in Counter(execution.type for execution in self._left).items():
                # So that a type that can't be stopped stops itself.
                busy[type] = busy.get(type, 0) + max(0, left - LEFT_AT_MOST)
        return Load(
            limits={type: self._limits.get(type, spec.concurrency) for type, spec in self._registry.items()},
            busy=busy,
            total=len(running),
            most=self._most,
            doubtful=[(execution.job.id, execution.type) for execution in self._running if not execution.passed],
            draining=self._draining,
            full=self._full,
            short=self._short,
            drained=self._drained,
        )

    async def _claim(self, tasks: asyncio.TaskGroup) -> Collection[str]:
        """Start what there is room for; the types of which another job that comes due can be started."""
        runtime, paused = self._runtime, await self._runtime.store.paused()
        self._limits = await runtime.store.limits()
        load = self.load()
        room = load.room(paused)
        if load.draining or load.drained or not room:
            return ()
        self._short = await runtime.short()
        if self._short:
            return ()  # the next round, 5 s later at the latest, looks again
        limit = load.most - load.total
        self._early.clear()
        began, now = runtime.clock.monotonic(), runtime.clock.now()
        try:
            room, jobs = await self._suspects.admit(room, self._running, self.boot, self.ttl, now)
            self._begin(jobs, began, tasks)
            if room and limit > len(jobs):
                limit, here = limit - len(jobs), self._locality
                jobs = await runtime.store.claim(
                    room, limit, self.boot, self.ttl, now, box=here.claims_for, overall=here.overall
                )
                self._begin(jobs, began, tasks)
            self._full = False
        except StoreFull:
            self._full = True
            return ()  # nothing can start until there is room on the disk; the next round looks again
        return room

    def _begin(self, jobs: Sequence[Job], began: float, tasks: asyncio.TaskGroup) -> None:
        for job in jobs:
            if job.lease is None:
                continue
            execution = Execution(job, job.lease, self._registry[job.type], self._runtime, began, self._wake.set)
            before = [other for other in self._running if other.job.id == job.id]
            self._running.append(execution)
            tasks.create_task(self._run(execution, before), name=f"run {job.id}")
            if early := self._early.get(_run_of(job.lease)):  # while the claim was on its way
                early(execution)
            if self._stopped:
                execution.stop(self._stopped)

    async def _run(self, execution: Execution, before: Sequence[Execution]) -> None:
        runtime = self._runtime
        if runtime.traced:
            follow_run(execution.job, runtime.clock, runtime.emit)
        try:
            for other in before:  # a run that lost its lease may not be gone yet; no job runs twice at once
                await other.gone.wait()
            if self._left and any(other.job.id == execution.job.id and other.goes_on for other in self._left):
                execution.stop(STILL_THERE)
            await execution.run()
        finally:
            if execution.left:
                self._left.append(execution)
            self._running.remove(execution)
            self._wake.set()
            if runtime.traced:
                runtime.emit(RunEnded(execution.job, execution.settled))

    async def _nap(self, room: Collection[str]) -> None:
        """Until there may be something to do: news, an end, or a job of a type with room that comes due."""
        due = await self._next_due(room) if room else None
        seconds = LONGEST_NAP
        if due is not None:
            seconds = min(seconds, max(0.0, (due - self._runtime.clock.now()).total_seconds()))
        if await nap(self._wake, self._runtime.clock, seconds):
            self._due = None

    async def _next_due(self, room: Collection[str]) -> datetime | None:
        if self._due is None or self._due[0] != set(room):
            self._due = set(room), None  # before it is asked, so that news on the way is not forgotten
            asked = self._due
            due = await self._runtime.store.next_due(list(room))
            if self._due is asked:
                self._due = asked[0], due
            return due
        return self._due[1]

    def _hear(self, events: Sequence[Event]) -> None:
        news: dict[JobId, Event] = {}
        for event in events:
            if event.name in ("queued", "retrying"):
                news[event.job_id] = event
            elif event.name == "started":  # in the very transaction that queued it
                news.pop(event.job_id, None)
            elif event.status.ended and event.job_type in self._locality.overall:
                news[event.job_id] = event  # a slot over all boxes came free, on whichever box
        if not events or any(map(self._matters, news.values())):
            self._due = None
            self._wake.set()

    def _matters(self, event: Event) -> bool:
        """Whether the job is ready, or will be before the nap was to end."""
        due = self._due[1] if self._due else None
        return event.run_at is None or due is None or event.run_at < due


def _run_of(lease: Lease) -> tuple[JobId, int]:
    return lease.job_id, lease.epoch


def _stop(execution: Execution) -> None:
    execution.stop(STOPPED_ON_REQUEST)  # what becomes of the job stands in its row
