"""Retention and aging, the slow loops: ended jobs are forgotten, and nothing waits for ever behind higher priority."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from secondunit.queue.clock import Clock
from secondunit.queue.errors import StoreFull
from secondunit.queue.model import JobId
from secondunit.queue.store import Prune, Store

EVERY = 300.0
SLICE = 500
AGE_EVERY = 60.0
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


async def age(store: Store, clock: Clock) -> None:
    """Raise what has waited for long, a rank each ten minutes."""
    while True:
        await clock.sleep(AGE_EVERY)
        try:
            await store.age(clock.now(), AGE_STEP, SLICE)
        except StoreFull:
            continue
