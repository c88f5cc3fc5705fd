"""The time series of a database: counted from its events, each once, also those that a kill found uncounted."""

import asyncio
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from secondunit.queue import state
from secondunit.queue.sight.series import SeriesRow
from secondunit.queue.store import Store
from secondunit.queue.stores.memory import MemoryStore
from secondunit.queue.stores.sqlite.store import open_store
from secondunit.testing.jobs import BROKEN, FLAKY, NOW, by, held, later, new, prune_at, settled


async def work(store: Store, jobs: int) -> None:
    """So many jobs come, one a second; a third of them fails, a third is tried again, a third ends by a wish."""
    for n in range(jobs):
        now = later(n)
        await store.add([new(f"j{n}", at=now, type=("hls", "webp")[n % 2])])
        for job in await store.claim({"hls": 1, "webp": 1}, 1, "b", timedelta(seconds=9), now):
            if n % 3 == 2:
                await store.change(job.id, by(state.expire, now))
                await store.change(job.id, by(state.cancel, now))
            else:
                await store.change(job.id, settled((BROKEN, FLAKY)[n % 3], now), lease=held(job))


def copied(path: Path) -> Path:
    """What a kill at this moment would leave of a database that is open."""
    copy = path.with_name("killed.db")
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    return copy


def stored(path: Path) -> int:
    """How many submits stand in the table."""
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("select coalesce(sum(submitted), 0) from series").fetchone()[0])


async def told(store: Store) -> Sequence[SeriesRow]:
    return list(await store.sight.series(NOW, []))


def submitted(rows: Sequence[SeriesRow]) -> int:
    return sum(int(row.values[0]) for row in rows)


@pytest.mark.parametrize("jobs", [1, 70, 200])
async def test_what_a_kill_found_uncounted_is_counted_from_the_events(tmp_path: Path, jobs: int) -> None:
    reference = MemoryStore()
    await work(reference, jobs)
    store = await open_store(tmp_path / "queue.db", synchronous="off")
    await work(store, jobs)
    copy = await asyncio.to_thread(copied, tmp_path / "queue.db")
    await store.close()
    assert stored(copy) < jobs, "some are counted later"
    for _ in range(2):  # and never twice
        again = await open_store(copy, synchronous="off")
        assert await told(again) == await told(reference)
        await again.close()
    assert stored(copy) == jobs


async def test_events_that_are_forgotten_were_counted(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "queue.db", synchronous="off")
    await work(store, 12)
    before = await told(store)
    await store.close()
    store = await open_store(tmp_path / "queue.db", synchronous="off")
    await work_more(store)
    assert await store.prune(prune_at(later(100)))
    after = await told(store)
    await store.close()
    assert submitted(after) == submitted(before) + 1


async def work_more(store: Store) -> None:
    """One job more comes and ends."""
    await store.add([new("more", at=later(20))])
    await store.change("more", by(state.cancel, later(21)))
