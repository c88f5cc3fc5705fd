"""Database factory: the one place outside the stores that knows which engine it is. Locks, opens, restores it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path

from secondunit.daemon.config.settings import Database
from secondunit.daemon.process.lock import box_lock
from secondunit.queue.clock import Clock
from secondunit.queue.ports.engine import DatabaseLook, Snapshot
from secondunit.queue.store import Store
from secondunit.queue.stores.sqlite import backup, inspection
from secondunit.queue.stores.sqlite.connection import removed
from secondunit.queue.stores.sqlite.store import open_store


@contextmanager
def locked(database: Database) -> Iterator[None]:
    """Be the only one that has the database; Locked at once if another process does. Makes its folder."""
    database.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with box_lock(database.path):
        yield


@asynccontextmanager
async def store_of(database: Database, clock: Clock | None = None) -> AsyncIterator[Store]:
    """The queue's store, open; made if there is none. By a clock searches end early that would take long."""
    monotonic = clock.monotonic if clock else None
    store = await open_store(database.path, synchronous=database.synchronous, clock=monotonic)
    try:
        yield store
    finally:
        await store.close()


async def missing(database: Database) -> str | None:
    """Where it should be, if there is no database."""
    return None if await asyncio.to_thread(database.path.exists) else str(database)


def lost(database: Database) -> str | None:
    """What to tell if a database that was open is no longer there. Blocks."""
    return None if database.path.exists() else removed(database.path)


def check(copy: Path) -> Snapshot:
    """What a copy holds; StoreBroken says why it can't be restored. Blocks."""
    return backup.check(copy)


def inspect(database: Database, over: Callable[[], bool]) -> DatabaseLook:
    """A read-only look until `over` says that the time is up; StoreBroken says what is wrong. Blocks."""
    return inspection.inspect(database.path, over)


def wal_of(database: Database) -> Path:
    """The file of what was written and not yet put into the database itself."""
    return database.path.with_name(f"{database.path.name}-wal")


def reserve_of(database: Database) -> Path:
    """The file that only takes up room, given up to record how jobs end on a full disk."""
    return database.path.with_name(f"{database.path.name}.ballast")


def restore(copy: Path, database: Database, now: datetime) -> Path | None:
    """Put a copy in the place of the database, whose lock is held. Blocks.

    Returns where that is kept which stood there, if anything did.
    """
    there = database.path.exists()
    aside = database.path.with_name(f"{database.path.name}.before-restore-{now:%Y%m%dT%H%M%SZ}")
    backup.restore(copy, database.path, aside)
    return aside if there else None
