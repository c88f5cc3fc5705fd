"""Database factory: the one place outside the stores that knows which engine it is. Locks, opens, restores it.

What an engine needs is imported where it is asked for: PostgreSQL's never if QUEUE_URL names SQLite, and SQLite's
not before the lock is held.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from secondunit.daemon.config.settings import Database
from secondunit.daemon.process.clock import SystemClock
from secondunit.daemon.process.lock import box_lock
from secondunit.queue.errors import StoreBroken, StoreFull

if TYPE_CHECKING:
    from secondunit.queue.ports.engine import DatabaseLook, Snapshot
    from secondunit.queue.store import Store

LOOK_WITHIN = 2.0  # seconds
RESTORED_ELSEWHERE = (
    "the queue is in PostgreSQL, and restored by its means: stop every daemon, `pg_restore` into an empty database, "
    "and name that one in QUEUE_URL"
)


@contextmanager
def locked(database: Database) -> Iterator[None]:
    """Be the only one that has the database; Locked at once if another process does. Makes its folder.

    One on a server is shared: then this daemon is the only one of its DATA_DIR.
    """
    database.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with box_lock(database.path):
        yield


def boot_of(database: Database, box: str) -> str:
    """A new boot's name; where others share the database, with the box that it is of."""
    token = secrets.token_hex(8)
    return f"{box}/{token}" if database.server else token


@asynccontextmanager
async def store_of(database: Database, clock: SystemClock | None = None) -> "AsyncIterator[Store]":
    """The queue's store, open; made if there is none. By a clock searches end early that would take long.

    A clock follows that of a server: it is the one by which leases end, whichever box looks. What fails within is
    StoreBroken where the database is no longer there, whatever stumbled over that first.
    """
    store = await _opened(database, clock)
    try:
        yield store
    except Exception as error:
        if why := await asyncio.to_thread(lost, database):
            raise StoreBroken(why) from error
        if database.server:
            await _still_there(store, error)
        raise
    finally:
        await store.close()


async def _still_there(store: "Store", error: Exception) -> None:
    """StoreBroken if the server's database went back: who reads may see that, and stumble, before a writer knows."""
    with suppress(TimeoutError):
        try:
            await asyncio.wait_for(store.engine.ping(), LOOK_WITHIN)
        except StoreBroken as broken:
            raise broken from error


async def _opened(database: Database, clock: SystemClock | None) -> "Store":
    monotonic = clock.monotonic if clock else None
    if database.server is None:
        from secondunit.queue.stores.sqlite.store import open_store

        return await open_store(database.path, synchronous=database.synchronous, clock=monotonic)
    from secondunit.queue.stores.postgres import store as postgres

    follow = clock.follow if clock else None
    return await postgres.open_store(database.server, clock=monotonic, follow=follow, note=_note(database))


def _note(database: Database) -> Path:
    """The file in which it is kept which server was the primary last."""
    return database.path.with_name(f"{database.path.name}.server")


async def missing(database: Database) -> str | None:
    """Where it should be, if there is no database; a server is asked when it is opened."""
    if database.server:
        return None
    return None if await asyncio.to_thread(database.path.exists) else str(database)


def failure(error: StoreBroken | StoreFull, database: Database) -> str:
    """What to tell of a store that failed: of a server also by which setting, and what to look at where it is away."""
    named = f"QUEUE_URL: {error}" if database.server else str(error)
    remedy = error.remedy if isinstance(error, StoreBroken) else ""
    return f"{named}; {remedy}" if remedy else named


def lost(database: Database) -> str | None:
    """What to tell if a database that was open is no longer there. Blocks."""
    if database.server or database.path.exists():
        return None
    from secondunit.queue.stores.sqlite.connection import removed

    return removed(database.path)


def check(copy: Path) -> "Snapshot":
    """What a copy holds; StoreBroken says why it can't be restored. Blocks."""
    from secondunit.queue.stores.sqlite import backup

    return backup.check(copy)


def inspect(database: Database, over: Callable[[], bool]) -> "DatabaseLook":
    """A read-only look until `over` says that the time is up; StoreBroken says what is wrong. Blocks."""
    if database.server is None:
        from secondunit.queue.stores.sqlite import inspection

        return inspection.inspect(database.path, over)
    from secondunit.queue.stores.postgres import inspection as postgres

    return postgres.inspect(database.server, _note(database))


def wal_of(database: Database) -> Path:
    """The file of what was written and not yet put into the database itself."""
    return database.path.with_name(f"{database.path.name}-wal")


def reserve_of(database: Database) -> Path | None:
    """The file that only takes up room, to record how jobs end on a full disk; none where the disk is not ours."""
    return None if database.server else database.path.with_name(f"{database.path.name}.ballast")


def restore(copy: Path, database: Database, now: datetime) -> Path | None:
    """Put a copy in the place of the database, whose lock is held. Blocks.

    Returns where that is kept which stood there, if anything did.
    """
    if database.server:
        raise StoreBroken(RESTORED_ELSEWHERE)
    from secondunit.queue.stores.sqlite import backup

    there = database.path.exists()
    aside = database.path.with_name(f"{database.path.name}.before-restore-{now:%Y%m%dT%H%M%SZ}")
    backup.restore(copy, database.path, aside)
    return aside if there else None
