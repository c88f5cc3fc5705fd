"""Retention and aging, the slow loops: ended jobs are forgotten, and nothing waits for ever behind higher priority."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from datetime import timedelta

from secondunit.queue.clock import Clock
from secondunit.queue.errors import JobNotFound, NotAllowed, StoreFull
from secondunit.queue.follow import each
from secondunit.queue.handler import Registry
from secondunit.queue.model import Filter, JobId, Status
from secondunit.queue.payloads import secret_fields
from secondunit.queue.ports.pruning import Prune
from secondunit.queue.store import Store

EVERY = 300.0
SLICE = 500
AGE_EVERY = 60.0
STRIKE_EVERY = 3600.0
SECRETS_KEPT = timedelta(days=1)
AGE_STEP = timedelta(minutes=10)
BETWEEN_SLICES = 0.05


async def forget(
    store: Store,
    clock: Clock,
    kept_for: timedelta,
    failed_kept_for: timedelta,
    drop: Callable[[Sequence[JobId]], Awaitable[None]],
) -> None:
    """Every few minutes prune what has outlived its time, in small transactions; `drop` removes the jobs' folders."""
    while True:
        await clock.sleep(EVERY)
        pruned: Sequence[JobId] = ("",) * SLICE
        while len(pruned) == SLICE:
            now = clock.now()
            try:
                pruned = await store.prune(Prune(now, now - kept_for, now - failed_kept_for, SLICE))
            except StoreFull:
                break
            await drop(pruned)
            await clock.sleep(BETWEEN_SLICES)


async def strike(store: Store, clock: Clock, registry: Registry) -> None:
    """Every hour strike the secrets of those out that ended a day ago without completing: nobody retries them now."""
    secretive = [type for type, spec in registry.items() if spec.secrets]
    while secretive:
        await clock.sleep(STRIKE_EVERY)
        async for job in each(store, Filter([Status.FAILED, Status.PARTIAL, Status.CANCELLED], secretive)):
            over = job.finished_at is not None and job.finished_at <= clock.now() - SECRETS_KEPT
            secrets = registry.secrets_of(job.type)
            if over and secret_fields.struck(job.payload, secrets) != job.payload:
                await _strike(store, job.id, secrets)


async def _strike(store: Store, job_id: JobId, secrets: Collection[str]) -> None:
    with suppress(StoreFull, JobNotFound, NotAllowed):  # the next round finds it again, if it is still there and ended
        await store.change(job_id, lambda job: secret_fields.strike(job, secrets))


async def age(store: Store, clock: Clock) -> None:
    """Raise what has waited for long, a rank each ten minutes."""
    while True:
        await clock.sleep(AGE_EVERY)
        try:
            await store.age(clock.now(), AGE_STEP, SLICE)
        except StoreFull:
            continue
