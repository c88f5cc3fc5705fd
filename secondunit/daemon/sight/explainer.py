"""Explainer: gathers what the next claim looks at, and has a job's place explained by it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from secondunit.daemon.monitoring.disk_guard import DiskGuard
from secondunit.queue.clock import Clock
from secondunit.queue.follow import first
from secondunit.queue.handler import Registry
from secondunit.queue.model import Filter, Job, JobId, Status
from secondunit.queue.payloads.locality import ANYWHERE, Locality
from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.remote.explaining import explain_remote
from secondunit.queue.remote.leasing import Leasing
from secondunit.queue.sentences import say
from secondunit.queue.sight.boxes import SeenBox, declared_apart, elsewhere
from secondunit.queue.sight.explain import MOST_NAMED, Explanation, explain
from secondunit.queue.sight.port import Line
from secondunit.queue.sight.room import Load
from secondunit.queue.sight.seen import Seen
from secondunit.queue.store import Store

RUNNING = Filter([Status.RUNNING])
MOST_RUNNING = 200


class Budget(Protocol):
    """What is paid for: why it can't be used now, and why nothing more may be spent today."""

    @property
    def trouble(self) -> str | None: ...

    async def used_up(self) -> str | None: ...


class Explainer:
    """Answers why a job is where it is, by the load of the worker and what the store holds at nearly the same time."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        clock: Clock,
        load: Callable[[], Load],
        disk: DiskGuard | None = None,
        paid: Budget | None = None,
        leasing: Leasing | None = None,
        *,
        boxes: Callable[[], Awaitable[Sequence[SeenBox]]] | None = None,
        locality: Locality = ANYWHERE,
    ) -> None:
        self._store = store
        self._registry = registry
        self._clock = clock
        self._load = load
        self._disk = disk
        self._paid = paid
        self._leasing = leasing
        self._boxes = boxes
        self._locality = locality

    async def __call__(self, job_id: JobId) -> tuple[Job, Explanation]:
        """The job with its explanation, or JobNotFound."""
        store, now = self._store, self._clock.now()
        job = await store.get(job_id)
        if self._leasing and job.type in self._leasing.registry:
            return job, await self._of_workers(job, self._leasing, now)
        if job.status is not Status.QUEUED:
            return job, explain(job, Seen(now, self._load()))
        paused, here = await store.paused(), self._locality
        line, running, suspects, counts = await asyncio.gather(
            store.sight.line(job_id, self._registry.keys() - paused, now, MOST_NAMED, here.claims_for),
            first(store, RUNNING, MOST_RUNNING),
            store.suspects(),
            store.counts(),
        )
        trouble, used_up = await self.outside(job.type)
        seen = Seen(
            now=now,
            load=self._load(),
            paused=frozenset(paused),
            running=[one for one in running if here.holds(one)],
            beyond=[one for one in running if not here.holds(one)],
            overall=here.overall,
            elsewhere=here.elsewhere(job.box),
            home=await self._home(job),
            suspects=[one for one in suspects if not here.elsewhere(one.box)],
            proven=frozenset(counts.completed),
            line=line,
            trouble=trouble,
            used_up=used_up,
            parents=await store.graph.parents(job_id) if job.waiting_for else (),
            disk=say("{n} MiB are free", n=self._disk.free >> 20) if self._disk else "",
        )
        return job, await self._elsewhere(job, seen.load, explain(job, seen))

    async def _elsewhere(self, job: Job, load: Load, told: Explanation) -> Explanation:
        """Other boxes count for a job that this one won't start."""
        bound = job.box is not None and not self._locality.alone
        if self._boxes is None or bound or told.reason not in ("unknown_type", "draining"):
            return told
        other = elsewhere(job, await self._boxes())
        return told if other is None or (load.draining and other.reason == "draining") else other

    async def _home(self, job: Job) -> BoxRow | None:
        """The box whose file the input of the job is, if that is another one and was ever seen."""
        if not self._locality.elsewhere(job.box):
            return None
        return next((box for box in await self._store.boxes.all() if box.name == job.box), None)

    async def _of_workers(self, job: Job, leasing: Leasing, now: datetime) -> Explanation:
        """Of a job that remote workers lease: neither what runs here nor this machine holds it back."""
        store, type = self._store, job.type
        running = await first(store, Filter([Status.RUNNING], [type]), MOST_RUNNING)
        queued = job.status is Status.QUEUED
        seen = Seen(
            now=now,
            load=await leasing.load(),
            paused=frozenset(await store.paused()),
            running=running,
            overall=self._locality.overall,
            line=await store.sight.line(job.id, [type], now, MOST_NAMED) if queued else Line(),
            parents=await store.graph.parents(job.id) if job.waiting_for else (),
        )
        apart = declared_apart(type, await self._boxes()) if self._boxes and queued else ()
        return explain_remote(job, seen, await leasing.workers(type), apart)

    async def held(self, type: str) -> str | None:
        """Why jobs of this type would be put back at once."""
        trouble, used_up = await self.outside(type)
        return trouble or used_up

    async def outside(self, type: str) -> tuple[str | None, str | None]:
        """Why what a type asks outside can't be used now, and why its budget is used up."""
        if type not in self._registry:
            return None, None
        spec = self._registry[type]
        if not (spec.paid and self._paid):
            return spec.trouble(), None
        return self._paid.trouble or spec.trouble(), await self._paid.used_up()
