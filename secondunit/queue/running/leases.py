"""Lease keeper: heartbeats for those under which something runs, runs stopped that lost theirs, expired ones freed."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from secondunit.queue import state
from secondunit.queue.clock import Clock
from secondunit.queue.errors import JobNotFound, LeaseLost, StoreFull
from secondunit.queue.ids import box_of
from secondunit.queue.instrumentation import BeatLate, RunReclaimed, Sink, unheard
from secondunit.queue.model import Change, Job, Lease
from secondunit.queue.payloads.secret_fields import without_secrets
from secondunit.queue.ports.holders import holder_of
from secondunit.queue.running.worker import Worker
from secondunit.queue.store import Decide, Store
from secondunit.queue.suspicion import charged

AT_ONCE = 500
LOOK_EVERY = 0.5  # seconds between two looks for leases of other boxes that ran out
LATE = 2 / 3  # of a lease, between two beats: those that began in between may have run out
NO_SHIFT = timedelta(0)

SecretsOf = Callable[[str], Collection[str]]


def none_known(_: str) -> Collection[str]:
    """Of no type."""
    return ()


async def reclaim(
    store: Store, clock: Clock, boot: str, emit: Sink = unheard, secrets_of: SecretsOf = none_known
) -> int:
    """Free every lease that ran out or that another boot held; how many there were.

    A lease of this boot that ran out is nobody's fault. A boot that left leases died, unless it was asked to stop; of
    another box's that is not known, which may be cut off: its own next boot judges what it finds left. A boot without a
    box was here before the queue moved to where there are several; it is nobody's now, and judged by who comes first.
    """
    struck, leases = _expiry(clock, secrets_of), await _left_over(store, clock, boot)
    freed = await _free([lease for lease in leases if lease.boot == boot], store, emit, struck)
    for dead in dict.fromkeys(lease.boot for lease in leases if lease.boot != boot):
        left = [lease for lease in leases if lease.boot == dead]
        if box_of(dead) not in ("", box_of(boot)) or await store.was_stopping(dead):
            freed += await _free(left, store, emit, struck)
        else:
            freed += await _bury(dead, left, store, clock, emit, secrets_of)
    return freed


async def every_expired(store: Store, now: datetime, boot: str) -> Sequence[Lease]:
    """All leases that the store lists as over, however many: who is charged with a death depends on who ran."""
    limit = AT_ONCE
    while len(leases := await store.expired(now, boot, limit)) == limit:
        limit *= 2
    return leases


async def _bury(dead: str, left: Sequence[Lease], store: Store, clock: Clock, emit: Sink, secrets_of: SecretsOf) -> int:
    """Free what ran when this boot died; the guilty last: a start that is cut off must not leave another one alone."""
    jobs = [await store.get(lease.job_id) for lease in left]
    running = [job for job, lease in zip(jobs, left, strict=True) if job.epoch == lease.epoch and job.lease]
    # Where the start after the death was cut off itself, some of those that ran are back in the queue already.
    back = [job for job in await store.suspects() if job.suspicion and job.suspicion.boot == dead]
    guilty = None if back else charged(running, (await store.counts()).completed)
    beside = len(running) + len(back) - 1

    def bury(job: Job) -> Change:
        return without_secrets(state.bury(job, beside, job.id == guilty, clock.now()), secrets_of(job.type))

    return await _free(sorted(left, key=lambda lease: lease.job_id == guilty), store, emit, bury)


def _expiry(clock: Clock, secrets_of: SecretsOf) -> Decide:
    """The move of a job whose lease is over, by nobody's fault."""
    return lambda job: without_secrets(state.expire(job, clock.now()), secrets_of(job.type))


async def _free(leases: Sequence[Lease], store: Store, emit: Sink, decide: Decide) -> int:
    freed = 0
    for lease in leases:
        try:
            job = await store.change(lease.job_id, decide, lease=lease)
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
    secrets_of: SecretsOf = none_known,
) -> None:
    """Beat for ever, at a third of the lease.

    A beat that could not be written because the disk is full doesn't count against the leases: nobody else could
    have taken them. One that was written late, by a slow disk or a loop that stood still, is announced.
    """
    unwritten, shift, beaten_at = False, NO_SHIFT, clock.monotonic()
    while True:
        await clock.sleep(worker.ttl.total_seconds() / 3)
        try:
            shift += clock_was_set()
            if shift:
                await store.shift(shift)
                shift = NO_SHIFT
            await _beat(worker, store, clock, forgiving=unwritten)
            beaten_at = _told_late(beaten_at, clock.monotonic(), worker.ttl.total_seconds(), emit)
            await reclaim(store, clock, worker.boot, emit, secrets_of)
            unwritten = False
        except StoreFull:
            unwritten = True


async def take_over(
    store: Store, clock: Clock, boot: str, emit: Sink = unheard, secrets_of: SecretsOf = none_known
) -> None:
    """Free for ever what other boxes left that are gone, as soon as their leases run out.

    Beats look, too, but at a third of the lease: jobs of a box that is gone would wait so much longer. What is ours is
    left to these, which know why it was not kept.
    """
    struck = _expiry(clock, secrets_of)
    while True:
        await clock.sleep(LOOK_EVERY)
        now = clock.now()
        leases = [lease for lease in await _left_over(store, clock, boot) if lease.until < now]
        with suppress(StoreFull):  # the next look frees them
            await _free([lease for lease in leases if box_of(lease.boot) != box_of(boot)], store, emit, struck)


async def _left_over(store: Store, clock: Clock, boot: str) -> Sequence[Lease]:
    """What is over, but for remote workers' leases: they outlive the daemon, and have a keeper of their own."""
    return [lease for lease in await every_expired(store, clock.now(), boot) if holder_of(lease.boot) is None]


def _told_late(before: float, now: float, lease: float, emit: Sink) -> float:
    if now - before > lease * LATE:
        emit(BeatLate(now - before, lease))
    return now


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
