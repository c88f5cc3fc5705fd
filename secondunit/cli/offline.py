"""Looks into the queue where no daemon runs: under the database's lock, through the store, as the API would answer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from secondunit.cli.client import Refused
from secondunit.daemon.boxlock import Locked, box_lock
from secondunit.daemon.http import wire
from secondunit.daemon.settings import Database
from secondunit.queue.errors import QueueError
from secondunit.queue.handler import Registry
from secondunit.queue.model import Filter, Status
from secondunit.queue.store import Store
from secondunit.queue.stores.sqlite.store import open_store

# Nothing says which fields of a payload are secret while no job type is loaded, so none is shown.
NO_TYPES = Registry([])


async def find(
    database: Database, statuses: Sequence[str], types: Sequence[str], cursor: int | None, limit: int
) -> Any:
    """What GET /api/jobs answers, payloads struck out."""
    async with _store(database) as store:
        page = await store.find(Filter([Status(word) for word in statuses], types), cursor, limit)
        counts = await store.counts()
        return {
            "jobs": [wire.detail(job, NO_TYPES) for job in page.jobs],
            "total": page.total,
            "queued": sum(counts.queued.values()),
            "running": sum(counts.running.values()),
            "nextCursor": None if page.next_cursor is None else str(page.next_cursor),
        }


async def show(database: Database, job_id: str) -> Any:
    """What GET /api/jobs/{id} answers, its payload struck out."""
    async with _store(database) as store:
        return wire.detail(await store.get(job_id), NO_TYPES)


@asynccontextmanager
async def _store(database: Database) -> AsyncIterator[Store]:
    if not await asyncio.to_thread(database.path.exists):
        raise Refused(f"no daemon runs, and there is no queue at {database.path}; start one with `secondunit run`")
    try:
        with box_lock(database.path):
            store = await open_store(database.path, synchronous=database.synchronous)
            try:
                yield store
            finally:
                await store.close()
    except Locked as error:
        raise Refused(f"the daemon does not answer: {error}") from None
    except QueueError as error:
        raise Refused(str(error)) from None
