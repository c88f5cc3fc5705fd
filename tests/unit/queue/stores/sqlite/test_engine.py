"""SQLite's file, looked through and watched while it is open, and the names that belong to it."""

import asyncio
import sqlite3
from asyncio import to_thread
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from secondunit.queue.errors import StoreBroken
from secondunit.queue.stores.sqlite.connection import LARGEST_CHECKED_FIRST
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


def _grown(path: Path) -> None:
    """More than is looked through before anything is served."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("create table rest (it)")
        connection.execute("insert into rest values (zeroblob(?))", (LARGEST_CHECKED_FIRST,))


def _damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096)


async def _looked_through(store: SqliteStore) -> None:
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        watching = group.create_task(store.engine.watch(ManualClock()))
        while store.engine.unchecked:
            await asyncio.sleep(0.001)
        watching.cancel()


async def test_a_small_database_is_looked_through_before_it_is_open(store: SqliteStore) -> None:
    assert not store.engine.unchecked


async def test_a_large_database_is_open_before_it_was_looked_through(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    await (await open_store(path)).close()
    await to_thread(_grown, path)
    store = await open_store(path)
    assert store.engine.unchecked
    await _looked_through(store)
    assert not store.engine.unchecked
    await store.close()


async def test_damage_in_a_large_database_is_told_of_while_it_is_open_and_refused_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    await (await open_store(path)).close()
    await to_thread(_grown, path)
    await to_thread(_damage, path)
    store = await open_store(path)
    with pytest.raises(StoreBroken, match=r"queue\.db is damaged .* `secondunit restore BACKUP`"):
        await store.engine.watch(ManualClock())
    await store.close()
    with pytest.raises(StoreBroken, match=r"queue\.db is damaged"):
        await open_store(path)


async def test_a_large_database_is_looked_through_before_it_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    await (await open_store(path)).close()
    await to_thread(_grown, path)
    await to_thread(_damage, path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma user_version = 1")
    with pytest.raises(StoreBroken, match=r"queue\.db is damaged"):
        await open_store(path)


async def test_what_was_damaged_and_is_whole_again_is_no_longer_suspected(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    await (await open_store(path)).close()
    await to_thread(_grown, path)
    whole = await to_thread(path.read_bytes)
    await to_thread(_damage, path)
    store = await open_store(path)
    with pytest.raises(StoreBroken):
        await store.engine.watch(ManualClock())
    await store.close()
    await to_thread(path.write_bytes, whole)
    checked = await open_store(path)
    assert not checked.engine.unchecked
    await checked.close()
    unsuspected = await open_store(path)
    assert unsuspected.engine.unchecked
    await unsuspected.close()


def _open_files(folder: Path) -> list[str]:
    held = [str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    return [name for name in held if name.startswith(str(folder))]


async def test_a_database_that_is_refused_is_left_closed(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    await (await open_store(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma application_id = 1")
    with pytest.raises(StoreBroken, match="another program") as refused:
        await open_store(path)
    assert await to_thread(_open_files, tmp_path) == [], refused  # whose frames still know the connection
