"""Queues with something in every table, of either engine, and how they are moved."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg

from secondunit.daemon.config.settings import Database
from secondunit.daemon.moving import MovedQueue, move
from secondunit.queue import state
from secondunit.queue.model import Batch, Bonds, Idempotency, Target
from secondunit.queue.outcome import Completed, Outcome
from secondunit.queue.ports.access import AccessKey, AuditEntry
from secondunit.queue.ports.cache import CacheEntry
from secondunit.queue.ports.folders import PublishedFolder, Replaced
from secondunit.queue.ports.schedules import ScheduleState
from secondunit.queue.sight.estimates import Sample
from secondunit.queue.store import Store
from secondunit.queue.stores.postgres.store import open_store as open_postgres
from secondunit.queue.stores.sqlite.store import open_store as open_sqlite
from secondunit.queue.value import replace
from secondunit.testing.full_values import full
from secondunit.testing.jobs import BROKEN, NOW, TTL, by, new, prune_at, settled
from tests.postgres_server import PostgresServer, rows

SIDES = ("sqlite", "postgresql")
DAY = timedelta(days=1)


async def opened(database: Database) -> Store:
    """As a daemon opens it, but for how long its disk is waited for."""
    if database.server:
        return await open_postgres(database.server)
    return await open_sqlite(database.path, synchronous="off")


def place(engine: str, path: Path, server: PostgresServer) -> Database:
    """Where a queue of this engine would be."""
    return Database(path) if engine == "sqlite" else Database(Path("queue"), server=server.database())


async def filled(database: Database, boot: str | None = None) -> Database:
    """The same, once there is something in every table, and nobody has it open."""
    store = await opened(database)
    await fill(store, boot or ("here/1" if database.server else "1"))
    await store.close()
    return database


async def moved(source: Database, target: Database, *, dry: bool = False, replace_nul: bool = False) -> MovedQueue:
    return await asyncio.to_thread(move, source, target, lambda *_: None, dry=dry, replace_nul=replace_nul)


def digests(moved: MovedQueue) -> dict[str, str]:
    return {name: tally.digest for name, tally in moved.found.tables.items()}


def put(database: Database, sql: str) -> None:
    """Do what no store does."""
    if database.server:
        with psycopg.connect(database.server, autocommit=True) as connection:
            connection.execute(sql.encode())
        return
    with closing(sqlite3.connect(database.path, isolation_level=None)) as file:
        file.execute("pragma wal_autocheckpoint = 0")
        file.execute(sql)


def tables(server: str) -> set[str]:
    found = rows(server, "select tablename from pg_tables where schemaname = 'public'")
    return {str(name) for (name,) in found}


async def fill(store: Store, boot: str) -> None:
    await _ended_and_forgotten(store, boot)
    target = Target("callback", "http://127.0.0.1/ü")
    await store.add([new(f"j{n}", target=target, dedupe_key=f"w{n}", labels={"ü": "\u2028"}) for n in range(8)])
    jobs = [new("p", batch="b"), new("c", batch="b", bonds=Bonds(["p"]))]
    jobs.append(new("late", run_at=NOW + TTL, idempotency=Idempotency("k", b"\0\xff")))
    await store.add(jobs, batch=Batch("b", NOW, target=target, name="名"))
    running = await store.claim({"hls": 4}, 4, boot, TTL, NOW)
    outcomes: list[Outcome] = [Completed({"text": "\0 \ud800", "n": 2**70}), BROKEN]
    for job, outcome in zip(running, outcomes, strict=False):
        await store.change(job.id, settled(outcome, NOW), lease=job.lease)
    lease = running[2].lease
    assert lease
    await store.steps.intend(lease, "paid", NOW)
    await store.steps.finish(lease, "paid", {"x": [1.5, None]}, by(state.step_done, NOW), NOW)
    await store.change(lease.job_id, by(state.progress, 0.25, "at \\. \t\r\n 1/4", "main", NOW), lease=lease)
    [row] = (await store.outbox.due(NOW + DAY, 1))[0]
    await store.outbox.change(row.id, lambda row: replace(row, attempts=1, next_at=NOW + TTL, last_error="ü"))
    await _beside_jobs(store)
    await store.stopping(boot)


async def _ended_and_forgotten(store: Store, boot: str) -> None:
    await store.add([new("gone"), new("kept")])
    [job] = await store.claim({"hls": 1}, 1, boot, TTL, NOW)
    await store.change(job.id, settled(Completed({"n": 1}), NOW), lease=job.lease)
    assert await store.prune(prune_at(NOW + DAY)) == ["gone"]


async def _beside_jobs(store: Store) -> None:
    await store.cache.put(CacheEntry("place", {"n": 1}, "gone", NOW, NOW + DAY))
    await store.keys.add(full(AccessKey))
    entries = [await store.audit.add(AuditEntry(NOW, None, "a", f"act{n}", "t", None)) for n in range(3)]
    await store.audit.withdraw(entries[-1])
    await store.folders.add(PublishedFolder("/media/ü", 2**40, NOW, "gone", 3, NOW))
    await store.folders.replace(Replaced("/media/ü", "part", ["a.m4s"], NOW))
    await store.schedules.put([full(ScheduleState)])
    await store.pause("webp", True)
    await store.limit("hls", 3)
    await store.sight.keep_samples({"hls": [Sample(1.5, 0.5, {"bytes": 1e9})]})
    await store.sight.series(NOW, [])
