"""Lease keeper: heartbeats for those under which something runs, runs stopped that lost theirs, expired ones freed."""

from collections.abc import Callable
from datetime import timedelta

from secondunit.queue import state
from secondunit.queue.clock import Clock
from secondunit.queue.errors import JobNotFound, LeaseLost, StoreFull
from secondunit.queue.instrumentation import RunReclaimed, Sink, unheard
from secondunit.queue.store import Store
from secondunit.queue.worker import Worker

AT_ONCE = 500
NO_SHIFT = timedelta(0)


async def reclaim(store: Store, clock: Clock, boot: str, emit: Sink = unheard) -> int:
    """Free every lease that ran out or that another boot held; how many there were."""
    freed = 0
    while leases := await store.expired(clock.now(), boot, AT_ONCE):
        for lease in leases:
            try:
                job = await store.change(lease.job_id, lambda job: state.expire(job, clock.now()), lease=lease)
            except (LeaseLost, JobNotFound):
                continue  # it ended, or was freed, since it was listed
            emit(RunReclaimed(job))
            freed += 1
    return freed


async def keep(
    worker: Worker,
    store: Store,
    clock: Clock,
    *,
    clock_was_set: Callable[[], timedelta] = lambda: NO_SHIFT,
    emit: Sink = unheard,
) -> None:
    """Beat for ever, at a third of the lease.

    A beat that could not be written because the disk is full doesn't count against the leases: nobody else could
    have taken them.
    """
    unwritten, shift = False, NO_SHIFT
    while True:
        await clock.sleep(worker.ttl.total_seconds() / 3)
        try:
            shift += clock_was_set()
            if shift:
                await store.shift(shift)
                shift = NO_SHIFT
            await _beat(worker, store, clock, forgiving=unwritten)
            await reclaim(store, clock, worker.boot, emit)
            unwritten = False
        except StoreFull:
            unwritten = True


async def _beat(worker: Worker, store: Store, clock: Clock, *, forgiving: bool) -> None:
    leases = worker.leases()
    if not leases:
        return
    now = clock.now()
    judged_at = min(lease.until for lease in leases) if forgiving else now
    held = await store.extend(leases, now + worker.ttl, judged_at)
    for lease in leases:
        job = held.get(lease.job_id)
        if job is None:
            worker.lose(lease)
        elif job.cancel_requested:
            worker.stop_run(lease)
