"""Offline access to the queue where no daemon runs: under the database's lock, through the store, as the API would."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from secondunit.cli.client import DaemonRefused
from secondunit.daemon.config.settings import Database
from secondunit.daemon.files.backups import take
from secondunit.daemon.http.contract import serialize
from secondunit.daemon.process.clock import SystemClock
from secondunit.daemon.process.lock import Locked
from secondunit.daemon.wiring.database import locked, missing, store_of
from secondunit.handlers import download
from secondunit.queue import state
from secondunit.queue.errors import JobNotFound, NotAllowed, QueueError
from secondunit.queue.handler import Registry
from secondunit.queue.model import Filter, Status
from secondunit.queue.service import Bulk
from secondunit.queue.store import Store, each

# Nothing says which fields of a payload are secret while no job type is loaded, so none is shown.
NO_TYPES = Registry([])
SECRETS = {"download": download.SECRETS}  # of our own types; a plugin's are struck out by the daemon alone
RUNNING = Filter([Status.RUNNING])


async def find(
    database: Database, statuses: Sequence[str], types: Sequence[str], cursor: int | None, limit: int
) -> Any:
    """What GET /api/jobs answers, payloads struck out."""
    async with opened(database) as store:
        page = await store.find(Filter([Status(word) for word in statuses], types), cursor, limit)
        return serialize.plain(serialize.page(page, await store.counts(), NO_TYPES, await store.paused()))


async def show(database: Database, job_id: str) -> Any:
    """What GET /api/jobs/{id} answers, its payload struck out."""
    async with opened(database) as store:
        return serialize.plain(serialize.detail(await store.get(job_id), NO_TYPES, await store.paused()))


async def running(database: Database) -> Any:
    """What GET /api/admin/stuck answers: every running job, since without a daemon none of them moves."""
    now = SystemClock().now()
    async with opened(database) as store:
        return serialize.plain(serialize.stuck([job async for job in each(store, RUNNING)], now))


async def recover(database: Database, runs: Sequence[tuple[str, int]]) -> Any:
    """What POST /api/admin/recover answers."""
    now, done, refused = SystemClock().now(), list[str](), list[tuple[str, str]]()
    async with opened(database) as store:
        for id, epoch in runs:
            try:
                await store.change(id, partial(state.recover, now=now, epoch=epoch))
                done.append(id)
            except (JobNotFound, NotAllowed) as error:
                refused.append((id, str(error)))
    return serialize.plain(serialize.bulk(Bulk(done, refused)))


async def back_up(database: Database, target: Path, keep: int | None) -> Any:
    """What POST /api/admin/backup answers."""
    async with opened(database) as store:
        snapshot = await take(store.engine, target, keep, SystemClock().now(), SECRETS)
    return serialize.plain(serialize.backup(snapshot))


@asynccontextmanager
async def opened(database: Database) -> AsyncIterator[Store]:
    """The store, under its lock; Refused when it can't be had."""
    if where := await missing(database):
        raise DaemonRefused(f"no daemon runs, and there is no queue at {where}; start one with `secondunit run`")
    try:
        with locked(database):
            async with store_of(database) as store:
                yield store
    except Locked as error:
        raise DaemonRefused(f"the daemon does not answer: {error}") from None
    except QueueError as error:
        raise DaemonRefused(str(error)) from None
