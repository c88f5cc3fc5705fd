"""SQLite's file, watched while it is open, and the names that belong to it."""

import asyncio
from asyncio import to_thread
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from secondunit.queue.errors import StoreBroken
from secondunit.queue.stores.sqlite.engine import WATCH_EVERY
from secondunit.queue.stores.sqlite.store import SqliteStore, open_store
from secondunit.testing.clock import ManualClock


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await open_store(tmp_path / "queue.db")
    yield opened
    await opened.close()


async def _watched(store: SqliteStore, move: Callable[[], object]) -> None:
    """What the watch says at its next look, when this was done meanwhile."""
    clock = ManualClock()
    watching = asyncio.create_task(store.engine.watch(clock))
    async with asyncio.timeout(30):
        while not clock.sleepers:
            await asyncio.sleep(0.001)
        await to_thread(move)
        await clock.advance(WATCH_EVERY)
        await watching


async def test_a_database_that_was_moved_away_is_told_of(store: SqliteStore, tmp_path: Path) -> None:
    with pytest.raises(StoreBroken, match=r"queue\.db was removed or renamed"):
        await _watched(store, lambda: store.engine.path.rename(tmp_path / "moved.db"))


async def test_a_database_that_was_replaced_is_told_of(store: SqliteStore, tmp_path: Path) -> None:
    await to_thread((tmp_path / "other.db").write_bytes, b"another")
    with pytest.raises(StoreBroken, match=r"queue\.db was replaced by another file"):
        await _watched(store, lambda: (tmp_path / "other.db").rename(store.engine.path))


async def test_the_database_owns_its_name_and_all_that_begin_with_it(store: SqliteStore, tmp_path: Path) -> None:
    def owned(*names: str) -> list[bool]:
        return [store.engine.owns(tmp_path / name) for name in names]

    (tmp_path / "link").symlink_to(tmp_path)
    assert all(await to_thread(owned, "queue.db", "queue.db-wal", "queue.db.lock", "link/queue.db-shm"))
    assert not any(await to_thread(owned, "copy.db", "queue.sqlite", "below/queue.db"))
