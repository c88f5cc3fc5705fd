"""Lease broker: hands jobs to remote workers that wait for them, one claim for each worker, in the order they came.

It wakes when a job is queued or a slot comes free, when one comes due, and when a call's time is up. Pauses and limits
that another daemon of the queue sets are no news to it: it looks for them, every few seconds.
"""

import asyncio
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from secondunit.queue import state
from secondunit.queue.clock import Clock, Random
from secondunit.queue.errors import (
    BadPayload,
    Draining,
    JobNotFound,
    LeaseLost,
    SecretsStruck,
    StoreFull,
    TypeBroken,
    TypeUnavailable,
)
from secondunit.queue.graph.references import resolved
from secondunit.queue.handler import Registry
from secondunit.queue.hub import Hub
from secondunit.queue.instrumentation import Fact, Sink, unheard
from secondunit.queue.model import Change, Event, Job, JobId
from secondunit.queue.outcome import Deterministic, Outcome, Released, classify
from secondunit.queue.payloads.secret_fields import check_whole, without_secrets
from secondunit.queue.ports.holders import RemoteHolder
from secondunit.queue.ports.pages import PAGE_BYTES
from secondunit.queue.remote.rounds import Rounds
from secondunit.queue.remote.sightings import Sightings
from secondunit.queue.remote.waiting import Waiter, WaitingRoom
from secondunit.queue.remote.workers import Roster, SeenWorker
from secondunit.queue.running.nap import nap
from secondunit.queue.running.verdicts import cleaned, refused
from secondunit.queue.sight.room import Load
from secondunit.queue.store import Store
from secondunit.queue.validation import validated
from secondunit.queue.value import Value

LONGEST_NAP, LOOK_EVERY = 60.0, 5.0
FIRST_EPOCH, MOST_ABREAST = 1, 32
GONE = Released("the worker had gone before it got the job")


class LeaseMoved(Fact, frozen=True):
    """A lease of a remote worker was given, put back, lost, or ended by the worker, as `what` says."""

    job: Job
    holder: RemoteHolder
    what: str


class Granted(Value, frozen=True):
    """A leased job with its payload filled from its parents, and the results of its steps."""

    job: Job
    payload: Mapping[str, Any]
    steps: Mapping[str, Any]


class Leasing:
    """Serves workers with jobs of the types of this registry; `ttl` is how long a lease lasts unless it is renewed.

    `boot` is the daemon's, which gives these leases.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        hub: Hub,
        clock: Clock,
        random: Random,
        ttl: timedelta,
        *,
        boot: str,
        emit: Sink = unheard,
    ) -> None:
        self.registry = registry
        self.boot = boot
        self.roster = Roster()
        self.sightings = Sightings(self.roster, store, clock, boot)
        self.room = WaitingRoom()
        self.rounds = Rounds(clock, ttl)
        self.ttl = ttl
        self.draining = False
        self.fresh: set[tuple[JobId, int]] = set()
        self._store = store
        self._clock = clock
        self._random = random
        self._emit = emit
        self._wake, self._abreast = asyncio.Event(), 1
        self._rules: tuple[Collection[str], Mapping[str, int]] = (), {}
        self._looks_at, self._due_known = 0.0, False
        self._due: datetime | None = None
        hub.tap(self._hear)

    async def lease(self, holder: RemoteHolder, types: Sequence[str], most: int, wait: float) -> Sequence[Granted]:
        """At most so many jobs of these types, once there is one; none after `wait` seconds.

        Cancelled, it leaves no job with a caller that has gone. UnknownType for one that nobody may lease.
        """
        for type in types:
            self.registry[type]
        if self.draining:
            raise Draining("the daemon is shutting down and gives out no job; ask again once it is back")
        loop = asyncio.get_running_loop()
        until = self._clock.monotonic() + wait
        waiter = Waiter(holder, frozenset(types), most, loop.create_future(), until, last=wait <= 0)
        self.room.enter(waiter)
        self.roster.asks(holder, types, self._clock.now())
        self._wake.set()
        try:
            jobs = await asyncio.shield(waiter.given)
            return [one for job in jobs if (one := await self._granted(job, holder))]
        except asyncio.CancelledError:
            waiter.gone = True
            if waiter.given.done():
                await self.put_back(waiter.given.result(), holder)
            raise
        finally:
            self.room.leave(waiter)
            self.roster.leaves(holder, self._clock.now())

    async def run(self) -> None:
        """For ever: hand out what there is to who waits; who waits when it ends gets nothing."""
        try:
            while True:
                self._wake.clear()
                await self._round()
                await self._nap()
        finally:
            for waiter in self.room:
                self._give(waiter, ())

    async def load(self) -> Load:
        """What its workers have on their hands, as the next claim will see it."""
        counts, limits = await self._store.counts(), await self._store.limits()
        most = {type: limits.get(type, spec.concurrency) for type, spec in self.registry.items()}
        return Load(most, {type: counts.running.get(type, 0) for type in most}, 0, sys.maxsize, draining=self.draining)

    async def workers(self, type: str) -> Sequence[SeenWorker]:
        """Those that take jobs of this type, whichever daemon saw them, the latest first."""
        return await self.sightings.of(type) if type in self.registry else ()

    def drain(self) -> None:
        """Hand out nothing more, and answer who waits; leases that are out stay good."""
        self.draining = True
        self._wake.set()

    def shut_out(self, key: str) -> None:
        """This access key is no more: what waits under it gets nothing."""
        for waiter in self.room.of_key(key):
            waiter.last = True
            waiter.most = 0
        self._wake.set()

    async def _round(self) -> None:
        """Offer everyone, in order, what was not offered to them yet.

        As long as there is enough, twice as many claim at once as before: they share a commit.
        """
        untried = [waiter for waiter in self.room if not waiter.tried]
        free = await self._free() if untried else {}
        while untried:
            some, untried = untried[: self._abreast], untried[self._abreast :]
            enough = await asyncio.gather(*(self._offered(waiter, free) for waiter in some))
            self._abreast = min(2 * self._abreast, MOST_ABREAST) if all(enough) else 1
        self.room.time_out(self._clock.monotonic())
        for waiter in self.room:
            if waiter.tried and (waiter.last or self.draining):
                self._give(waiter, ())

    async def _offered(self, waiter: Waiter, free: dict[str, int]) -> bool:
        """Offer a waiter what there is; whether that was as much as it wanted."""
        jobs: Sequence[Job] = ()
        if not waiter.gone:
            waiter.tried = True
            jobs = () if waiter.unwanted or self.draining else await self._claimed(waiter, free)
        if waiter.unwanted:  # since then
            await self.put_back(jobs, waiter.holder)
        elif jobs:
            self._give(waiter, jobs)
        return len(jobs) == waiter.most

    def _give(self, waiter: Waiter, jobs: Sequence[Job]) -> None:
        if not waiter.given.done():
            self.room.leave(waiter)
            waiter.given.set_result(jobs)

    async def _free(self) -> dict[str, int]:
        """How many of each type may be leased at once; a claim itself takes off those that are out, on any box."""
        paused, limits = self._rules = await self._rules_now()
        return {type: limits.get(type, spec.concurrency) for type, spec in self.registry.items() if type not in paused}

    async def _claimed(self, waiter: Waiter, free: dict[str, int]) -> Sequence[Job]:
        """What it gets; of a type that had no more, nobody is offered any in this round."""
        room = {type: free[type] for type in waiter.types if free.get(type, 0) > 0}
        if not room:
            return ()
        overall = {type: self._rules[1].get(type, self.registry[type].concurrency) for type in room}
        boot, now = waiter.holder.heard(self.boot), self._clock.now()
        try:
            jobs = await self._store.claim(
                room, waiter.most, boot, self.ttl, now, overall=overall, most_bytes=PAGE_BYTES
            )
        except StoreFull:
            free.clear()  # nothing can start until the disk has room; the next news look again
            return ()
        for job in jobs:
            self.fresh.add((job.id, job.epoch))
            self._emit(LeaseMoved(job, waiter.holder, "given"))
        if not jobs:  # fewer than it wanted may be all that one answer holds
            free.update(dict.fromkeys(room, 0))
        return jobs

    async def _granted(self, job: Job, holder: RemoteHolder) -> Granted | None:
        """The job as the worker gets it; None for one whose payload can't be worked on, which fails."""
        spec = self.registry[job.type]
        try:
            check_whole(job, spec.secrets)
            payload = job.payload
            if job.depends_on:
                _, payload = resolved(job, await self._store.graph.parents(job.id))
            validated(spec, payload)
        except (BadPayload, SecretsStruck, TypeUnavailable, TypeBroken) as error:
            await self._end(job, holder, refused(str(error)))
            return None
        except Deterministic as error:
            await self._end(job, holder, cleaned(classify(error)))
            return None
        return Granted(job, payload, await self._steps(job))

    async def _steps(self, job: Job) -> Mapping[str, Any]:
        """The results that earlier leases stored; the first has none to look for."""
        if job.epoch == FIRST_EPOCH:
            return {}
        return {step.name: step.result for step in await self._store.steps.of_job(job.id) if step.done}

    async def put_back(self, jobs: Sequence[Job], holder: RemoteHolder) -> None:
        """Nobody works on these; they cost no attempt."""
        for job in jobs:
            await self._end(job, holder, GONE)

    async def _end(self, job: Job, holder: RemoteHolder, outcome: Outcome) -> None:
        """End a run that no worker has begun."""
        spec = self.registry[job.type]

        def settle(job: Job) -> Change:
            return without_secrets(state.settle(job, outcome, self._random, self._clock.now()), spec.secrets)

        try:
            job = await self._store.change(job.id, settle, lease=job.lease)
        except (LeaseLost, JobNotFound, StoreFull):
            return  # or its lease runs out
        self._emit(LeaseMoved(job, holder, "put back"))

    async def _nap(self) -> None:
        """Until there may be something to hand out."""
        seconds, due = LONGEST_NAP, None
        if len(self.room):
            due = await self._next_due()
            seconds = max(0.0, min(self._looks_at, self.room.until) - self._clock.monotonic())
        if due:
            seconds = min(seconds, max(0.0, (due - self._clock.now()).total_seconds()))
        rang = await nap(self._wake, self._clock, seconds)
        if rang and due and due <= self._clock.now():
            self._look_again(None)
        if self._clock.monotonic() >= self._looks_at:
            self._looks_at = self._clock.monotonic() + LOOK_EVERY
            rules, self._rules = self._rules, await self._rules_now()
            if rules != self._rules:
                self._look_again(None)

    async def _rules_now(self) -> tuple[Collection[str], Mapping[str, int]]:
        return await self._store.paused(), await self._store.limits()

    async def _next_due(self) -> datetime | None:
        if not self._due_known:
            self._due_known = True  # before it is asked, so that news on the way are not forgotten
            self._due = await self._store.next_due(list(self.registry))
        return self._due

    def _hear(self, events: Sequence[Event]) -> None:
        """A tap of the hub: what is queued may be handed out, what ended makes room; no event at all is any news."""
        types = {event.job_type for event in events if event.name not in ("started", "progress", "data")}
        if not events:
            self._look_again(None)
        elif types := {type for type in types if type in self.registry}:
            self._look_again(types)

    def _look_again(self, types: Collection[str] | None) -> None:
        self._due_known = False
        if self.room.news(types):
            self._wake.set()
