"""What a remote worker does with a lease that it has: renew it, store steps, end the run. Every write is fenced."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from secondunit.queue import state
from secondunit.queue.clock import Clock, Random
from secondunit.queue.errors import JobNotFound, LeaseLost
from secondunit.queue.handler import Registry
from secondunit.queue.hub import Hub
from secondunit.queue.instrumentation import Sink, unheard
from secondunit.queue.model import Change, Job, JobId, Lease, Status
from secondunit.queue.outcome import Outcome
from secondunit.queue.payloads.secret_fields import without_secrets
from secondunit.queue.ports.holders import RemoteHolder, holder_of
from secondunit.queue.remote import moves
from secondunit.queue.remote.leasing import LeaseMoved, Leasing
from secondunit.queue.remote.moves import News
from secondunit.queue.remote.step_room import StepRoom
from secondunit.queue.store import Decide, Store

TELL_EVERY = 0.5
LONGEST_TIMEOUT = timedelta(days=366)


class Holding:
    """The leases that workers hold, each known by its job and its epoch."""

    def __init__(
        self, leasing: Leasing, store: Store, hub: Hub, clock: Clock, random: Random, emit: Sink = unheard
    ) -> None:
        self._leasing = leasing
        self._store = store
        self._hub = hub
        self._clock = clock
        self._random = random
        self._emit = emit
        self._told: dict[JobId, float] = {}
        self._untold: dict[JobId, Job] = {}
        self._wake = asyncio.Event()
        self._room = StepRoom(store.steps)

    async def held(self, job_id: JobId, epoch: int) -> tuple[Job, Lease]:
        """The job and its lease of this epoch, or LeaseLost."""
        return await self._judged(lambda: self._read(job_id, epoch))

    async def renew(self, job_id: JobId, epoch: int, news: News) -> Job:
        """The job under its renewed lease, which never outlasts the attempt's limit."""

        def renewed(job: Job) -> Change:
            now = self._clock.now()
            until = min(now + self._leasing.ttl, deadline(job, self._leasing.registry))
            return moves.renewed(job, epoch, news, until, now, self._leasing.boot)

        job, _ = await self._changed(job_id, epoch, renewed)
        self._leasing.fresh.add((job_id, epoch))
        if news.shown:
            self._untold[job_id] = job
            self._wake.set()
        return job

    async def step(self, job_id: JobId, epoch: int, name: str, result: Any) -> Job:
        """Store a step's result; a later lease of the job is given it. BadPayload where all have too many bytes."""
        if not self._room.knows(job_id, epoch):
            await self.held(job_id, epoch)
        await self._room.take(job_id, epoch, name, result)

        def done(job: Job) -> Change:
            now = self._clock.now()
            moves.held(job, epoch, now)
            return state.step_done(job, now)

        steps = self._store.steps
        job, _ = await self._fenced(
            job_id, epoch, lambda lease: steps.finish(lease, name, result, done, self._clock.now())
        )
        return job

    async def settle(self, job_id: JobId, epoch: int, call: str, outcome: Callable[[Job], Outcome]) -> Status:
        """End the run as its worker says; the same call again is answered the same, another one LeaseLost."""
        try:
            job, lease = await self._changed(job_id, epoch, lambda job: self._settled(job, call, outcome(job)))
        except LeaseLost:
            told = moves.receipt(await self._job(job_id, epoch), epoch)
            if told is None or told.call != call:
                raise
            return told.status
        self._told.pop(job_id, None)
        self._untold.pop(job_id, None)
        self._room.forget(job_id, epoch)
        self._leasing.fresh.discard((job_id, epoch))
        self._emit(LeaseMoved(job, holder_of(lease.boot) or RemoteHolder("", ""), "ended"))
        return job.status

    async def run(self) -> None:
        """Tell readers of progress, at most twice a second of each job: for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if pause := self._tell():
                await self._clock.sleep(pause)
                self._wake.set()

    def _tell(self) -> float | None:
        """Publish what may be told now; the seconds until the rest may be."""
        now = self._clock.monotonic()
        for job_id, job in tuple(self._untold.items()):
            if now - self._told.get(job_id, now - TELL_EVERY) >= TELL_EVERY:
                del self._untold[job_id]
                self._told[job_id] = now
                self._hub.publish([state.progressed(job, self._clock.now())])
        self._told = {id: at for id, at in self._told.items() if now - at < TELL_EVERY or id in self._untold}
        return min((TELL_EVERY - (now - self._told[id]) for id in self._untold), default=None)

    def _settled(self, job: Job, call: str, outcome: Outcome) -> Change:
        change = moves.settled(job, outcome, call, self._random, self._clock.now())
        return without_secrets(change, self._leasing.registry.secrets_of(job.type))

    async def _job(self, job_id: JobId, epoch: int) -> Job:
        try:
            return await self._store.get(job_id)
        except JobNotFound:
            raise LeaseLost(job_id, epoch) from None

    async def _judged(self, ask: Callable[[], Awaitable[tuple[Job, Lease]]]) -> tuple[Job, Lease]:
        """What is asked under a lease; if that is lost and could not be renewed meanwhile, it may begin anew."""
        try:
            job, lease = await ask()
        except LeaseLost:
            if not self._leasing.rounds.late:
                raise
            await self._leasing.rounds.caught_up()
            job, lease = await ask()
        if holder := holder_of(lease.boot):
            self._leasing.roster.hears(holder, job.type, self._clock.now())
        return job, lease

    async def _read(self, job_id: JobId, epoch: int) -> tuple[Job, Lease]:
        job = await self._job(job_id, epoch)
        return job, moves.held(job, epoch, self._clock.now())

    async def _changed(self, job_id: JobId, epoch: int, decide: Decide) -> tuple[Job, Lease]:
        """Decide on the job, only while the lease holds, in the very transaction that writes it; and under which."""
        leases: list[Lease] = []

        def fenced(job: Job) -> Change:
            leases.append(moves.held(job, epoch, self._clock.now()))
            return decide(job)

        async def written() -> tuple[Job, Lease]:
            try:
                return await self._store.change(job_id, fenced), leases[-1]
            except JobNotFound:
                raise LeaseLost(job_id, epoch) from None

        return await self._judged(written)

    async def _fenced(self, job_id: JobId, epoch: int, write: Callable[[Lease], Awaitable[Job]]) -> tuple[Job, Lease]:
        """Write under the lease, and under which.

        Who renews it through another daemon in between puts that one's name in it: then it is read anew.
        """
        _, lease = await self.held(job_id, epoch)
        while True:
            try:
                return await write(lease), lease
            except JobNotFound:
                raise LeaseLost(job_id, epoch) from None
            except LeaseLost:
                _, now = await self.held(job_id, epoch)
                if now.boot == lease.boot:
                    raise
                lease = now


def deadline(job: Job, types: Registry) -> datetime:
    """When the attempt that runs has had its time."""
    return (job.started_at or job.updated_at) + limit_of(job, types)


def limit_of(job: Job, types: Registry) -> timedelta:
    """How long an attempt may take."""
    return job.timeout or (types[job.type].timeout if job.type in types else LONGEST_TIMEOUT)
