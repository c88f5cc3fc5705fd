"""Keeper of remote leases: frees those that ran out, each within a second, and ends attempts that had their time.

A lease that its worker could not renew is not held against it: the daemon was away, stood still, or had no room on its
disk. Then all leases begin anew.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from secondunit.queue import state
from secondunit.queue.clock import Clock, Random
from secondunit.queue.errors import JobNotFound, LeaseLost, StoreFull
from secondunit.queue.instrumentation import RunReclaimed, Sink, unheard
from secondunit.queue.model import Change, Job, Lease
from secondunit.queue.payloads.secret_fields import without_secrets
from secondunit.queue.ports.holders import RemoteHolder, holder_of
from secondunit.queue.remote import moves
from secondunit.queue.remote.holding import deadline, limit_of
from secondunit.queue.remote.leasing import LeaseMoved, Leasing
from secondunit.queue.running.leases import every_expired
from secondunit.queue.running.verdicts import overran
from secondunit.queue.store import Store

AHEAD = timedelta(days=400)  # further than any lease goes
SHORTEST, LATE = 0.2, 1.0


class LeaseKeeper:
    """Looks after the remote leases of a store, also of types that are served no more."""

    def __init__(
        self, leasing: Leasing, store: Store, clock: Clock, random: Random, boot: str, emit: Sink = unheard
    ) -> None:
        self._leasing = leasing
        self._store = store
        self._clock = clock
        self._random = random
        self._boot = boot
        self._emit = emit

    async def start(self) -> None:
        """Before the first call of a worker: what an earlier life of the daemon left is good for a whole lease."""
        with suppress(StoreFull):  # then it is forgiven once there is room
            await self._forgive(await self._leases())

    async def run(self) -> None:
        """For ever."""
        late = max(LATE, self._leasing.ttl.total_seconds() / 3)
        forgiven, due = True, self._clock.monotonic()
        while True:
            try:
                known = frozenset(self._leasing.fresh)
                leases = await self._leases()
                self._leasing.fresh -= known - {(lease.job_id, lease.epoch) for lease in leases}
                if forgiven or self._clock.monotonic() - due > late:
                    leases = await self._forgive(leases)
                    forgiven = False
                leases = await self._sweep(leases)
            except StoreFull:
                forgiven, leases = True, ()
            pause = self._pause(leases)
            due = self._clock.monotonic() + pause
            await self._clock.sleep(pause)

    def _pause(self, leases: Sequence[Lease]) -> float:
        longest = self._leasing.ttl.total_seconds() / 3
        first = min((lease.until for lease in leases), default=None)
        if first is None:
            return longest
        return min(max((first - self._clock.now()).total_seconds(), SHORTEST), longest)

    async def _leases(self) -> Sequence[Lease]:
        found = await every_expired(self._store, self._clock.now() + AHEAD, self._boot)
        return [lease for lease in found if holder_of(lease.boot)]

    async def _forgive(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        """Every lease is as good as one that was renewed just now."""
        if not leases:
            return ()
        first, until = min(lease.until for lease in leases), self._clock.now() + self._leasing.ttl
        held = await self._store.extend(leases, until, min(first, self._clock.now()))
        self._leasing.fresh.clear()
        return [job.lease for job in held.values() if job.lease]

    async def _sweep(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        """Free what ran out; those that are left."""
        now = self._clock.now()
        over = [lease for lease in leases if lease.until <= now]
        overdue = [lease for lease in leases if lease.until <= now + self._leasing.ttl / 3]
        for lease in over:
            await self._free(lease, overdue, now)
        return [lease for lease in leases if lease.until > now]

    async def _free(self, lease: Lease, overdue: Collection[Lease], now: datetime) -> None:
        fresh = (lease.job_id, lease.epoch) in self._leasing.fresh
        alone = len(overdue) == 1
        registry = self._leasing.registry

        def free(job: Job) -> Change:
            if job.lease is None or job.lease.until > now:
                raise LeaseLost(job.id, lease.epoch)  # it was renewed since it was listed
            if now >= deadline(job, registry):
                change = state.settle(job, overran(limit_of(job, registry)), self._random, now)
            else:
                change = moves.silent(job, alone, now) if fresh else state.expire(job, now)
            return without_secrets(change, registry.secrets_of(job.type))

        try:
            job = await self._store.change(lease.job_id, free, lease=lease)
        except (LeaseLost, JobNotFound):
            return
        self._leasing.fresh.discard((lease.job_id, lease.epoch))
        self._emit(RunReclaimed(job))
        self._emit(LeaseMoved(job, holder_of(lease.boot) or RemoteHolder("", ""), "lost"))
