"""Keeper of remote leases: frees those that ran out, each within a second, and ends attempts that had their time.

A lease that its worker could not renew is not held against it: the daemon was away, stood still, or had no room on its
disk. Then all leases begin anew. Where several daemons share the queue, each looks after the leases that it heard of
last; those of one that is gone are freed by another, a little later, and held against nobody.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from secondunit.queue import state
from secondunit.queue.clock import Clock, Random
from secondunit.queue.errors import JobNotFound, LeaseLost, StoreFull
from secondunit.queue.ids import box_of
from secondunit.queue.instrumentation import RunReclaimed, Sink, unheard
from secondunit.queue.model import Change, Job, Lease
from secondunit.queue.payloads.secret_fields import without_secrets
from secondunit.queue.ports.holders import RemoteHolder, heard_by, holder_of
from secondunit.queue.remote import moves
from secondunit.queue.remote.holding import deadline, limit_of
from secondunit.queue.remote.leasing import LeaseMoved, Leasing
from secondunit.queue.running.leases import every_expired
from secondunit.queue.running.verdicts import overran
from secondunit.queue.store import Store

AHEAD = timedelta(days=400)  # further than any lease goes
SHORTEST = 0.2
GRACE = timedelta(seconds=0.5)  # for a daemon to free its own, before another one does


class LeaseKeeper:
    """Looks after the remote leases of a store, also of types that are served no more."""

    def __init__(self, leasing: Leasing, store: Store, clock: Clock, random: Random, emit: Sink = unheard) -> None:
        self._leasing = leasing
        self._store = store
        self._clock = clock
        self._random = random
        self._emit = emit
        self._spares_until = clock.now()

    async def start(self) -> None:
        """Before the first call of a worker: what an earlier life of the daemon left is good for a whole lease."""
        with suppress(StoreFull):  # then it is forgiven once there is room
            await self._forgive([lease for lease in await self._leases() if self._ours(lease)])

    async def run(self) -> None:
        """For ever."""
        began, full, rounds = True, False, self._leasing.rounds
        while True:
            try:
                known = frozenset(self._leasing.fresh)
                leases = await self._leases()
                self._leasing.fresh -= known - {(lease.job_id, lease.epoch) for lease in leases}
                if began or full or rounds.late:
                    # A disk that was full was so for every daemon of the queue.
                    others = [] if full else [lease for lease in leases if not self._ours(lease)]
                    ours = leases if full else [lease for lease in leases if self._ours(lease)]
                    leases = [*await self._forgive(ours), *others]
                    if not began:  # what kept us may have kept the others: they come first
                        self._spares_until = self._clock.now() + self._leasing.ttl / 3
                    began = full = False
                leases = await self._sweep(leases)
            except StoreFull:
                full, leases = True, ()
            pause = self._pause(leases)
            rounds.next_in(pause)
            await self._clock.sleep(pause)

    def _pause(self, leases: Sequence[Lease]) -> float:
        longest = self._leasing.ttl.total_seconds() / 3
        first = min(map(self._ends, leases), default=None)
        if first is None:
            return longest
        return min(max((first - self._clock.now()).total_seconds(), SHORTEST), longest)

    def _ours(self, lease: Lease) -> bool:
        """Whether this daemon, or an earlier life of it, heard of the lease last."""
        return box_of(heard_by(lease.boot)) == box_of(self._leasing.boot)

    def _ends(self, lease: Lease) -> datetime:
        """When the lease is to be freed, if nobody else has done it."""
        return lease.until if self._ours(lease) else max(lease.until + GRACE, self._spares_until)

    async def _leases(self) -> Sequence[Lease]:
        found = await every_expired(self._store, self._clock.now() + AHEAD, self._leasing.boot)
        return [lease for lease in found if holder_of(lease.boot)]

    async def _forgive(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        """Every one of them is as good as one that was renewed just now."""
        if not leases:
            return ()
        first, until = min(lease.until for lease in leases), self._clock.now() + self._leasing.ttl
        held = await self._store.extend(leases, until, min(first, self._clock.now()))
        self._leasing.fresh -= {(lease.job_id, lease.epoch) for lease in leases}
        return [job.lease for job in held.values() if job.lease]

    async def _sweep(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        """Free what ran out; those that are left."""
        now = self._clock.now()
        over = [lease for lease in leases if self._ends(lease) <= now]
        overdue = [lease for lease in leases if lease.until <= now + self._leasing.ttl / 3]
        for lease in over:
            await self._free(lease, overdue, now)
        return [lease for lease in leases if self._ends(lease) > now]

    async def _free(self, lease: Lease, overdue: Collection[Lease], now: datetime) -> None:
        fresh = self._ours(lease) and (lease.job_id, lease.epoch) in self._leasing.fresh
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
