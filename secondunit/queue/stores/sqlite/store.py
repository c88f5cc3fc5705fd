"""SQLite store: one connection writes on a thread of its own, aiosqlite serves every read."""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from secondunit.queue.errors import JobNotFound
from secondunit.queue.model import Batch, Change, Counts, Event, Filter, Job, JobId, Lease, Page
from secondunit.queue.ports.duties import Duty
from secondunit.queue.ports.pruning import Prune
from secondunit.queue.ports.schedules import ScheduleState
from secondunit.queue.state import QueueLimits
from secondunit.queue.store import Decide, Listener
from secondunit.queue.stores.rows import job_from, micros, moment_or_none
from secondunit.queue.stores.sqlite import claims
from secondunit.queue.stores.sqlite.ballast import Ballast
from secondunit.queue.stores.sqlite.engine import SqliteEngine
from secondunit.queue.stores.sqlite.readers import Readers
from secondunit.queue.stores.sqlite.tables import jobs, pruning
from secondunit.queue.stores.sqlite.tables import queries as lists
from secondunit.queue.stores.sqlite.tables.access import SqliteAccessKeys, SqliteAuditTrail
from secondunit.queue.stores.sqlite.tables.cache import SqliteCache
from secondunit.queue.stores.sqlite.tables.folders import SqliteFolders
from secondunit.queue.stores.sqlite.tables.kin import SqliteGraph
from secondunit.queue.stores.sqlite.tables.outbox import SqliteOutbox
from secondunit.queue.stores.sqlite.tables.schedules import SqliteSchedules
from secondunit.queue.stores.sqlite.tables.search import search
from secondunit.queue.stores.sqlite.tables.shared.boxes import SqliteBoxes
from secondunit.queue.stores.sqlite.tables.shared.duties import SqliteDuties, fenced
from secondunit.queue.stores.sqlite.tables.sight import SqliteSight
from secondunit.queue.stores.sqlite.tables.steps import SqliteSteps
from secondunit.queue.stores.sqlite.transaction import Transaction
from secondunit.queue.stores.sqlite.writer import Writer

READERS = 3


async def open_store(
    path: Path, *, synchronous: str = "full", clock: Callable[[], float] | None = None
) -> "SqliteStore":
    """Open (or create) the queue at `path`; `synchronous` "normal" trades what a power cut may take for speed.

    By a `clock` (monotonic, seconds) searches end early that would take long; without one they look at everything.

    Raises StoreBroken or StoreFull when the file can't be used, and leaves it as it is.
    """
    ballast = await asyncio.to_thread(Ballast, path.with_name(path.name + ".ballast"))
    writer = Writer(path, synchronous, ballast, asyncio.get_running_loop(), go_on=jobs.go_on)
    await writer.open()
    kept = await writer.run(_kept)
    await asyncio.to_thread(ballast.fill)
    readers = await Readers.open(path, READERS)
    return SqliteStore(path, writer, readers, ballast, kept, clock)


@dataclass(slots=True)
class Kept:
    """What was read at the opening; `paused` and `limits`, which every claim asks for, change by their calls alone."""

    generation: str
    secret: bytes
    paused: frozenset[str]
    limits: Mapping[str, int]


class SqliteStore:
    """The Store port on SQLite; see `secondunit.queue.store.Store` for what each method promises."""

    def __init__(
        self,
        path: Path,
        writer: Writer,
        readers: Readers,
        ballast: Ballast,
        kept: Kept,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.engine = SqliteEngine(path, writer, ballast)
        self.steps = SqliteSteps(writer, readers)
        self.outbox = SqliteOutbox(writer, readers)
        self.cache = SqliteCache(writer, readers)
        self.folders = SqliteFolders(writer, readers)
        self.keys = SqliteAccessKeys(writer, readers)
        self.audit = SqliteAuditTrail(writer, readers)
        self.sight = SqliteSight(writer, readers)
        self.schedules = SqliteSchedules(writer, readers)
        self.duties = SqliteDuties(writer, readers)
        self.graph = SqliteGraph(readers)
        self.boxes = SqliteBoxes(writer, readers)
        self._writer = writer
        self._readers = readers
        self._kept = kept
        self._clock = clock

    @property
    def generation(self) -> str:
        return self._kept.generation

    @property
    def secret(self) -> bytes:
        return self._kept.secret

    def listen(self, listener: Listener) -> None:
        self._writer.commits.listeners.append(listener)

    async def add(
        self,
        changes: Sequence[Change],
        limits: QueueLimits = QueueLimits(),
        schedule: ScheduleState | None = None,
        batch: Batch | None = None,
        duty: Duty | None = None,
    ) -> Sequence[tuple[Job, bool]]:
        work = fenced(duty, lambda tx: jobs.add(tx, changes, limits, schedule, batch))
        return await self._writer.run(work, spends=False)

    async def known(self, key: str, now: datetime) -> tuple[JobId, bytes] | None:
        rows = await self._readers.fetch(jobs.SELECT_KEY, (key, micros(now)))
        return (rows[0][0], rows[0][1]) if rows else None

    async def get(self, job_id: JobId) -> Job:
        rows = await self._readers.fetch(jobs.SELECT, (job_id,))
        if not rows:
            raise JobNotFound(job_id)
        return job_from(rows[0])

    async def live_twin(self, dedupe_key: str) -> Job | None:
        rows = await self._readers.fetch(jobs.SELECT_TWIN, (dedupe_key,))
        return job_from(rows[0]) if rows else None

    async def find(self, filter: Filter, cursor: int | None, limit: int, *, counted: bool = True) -> Page:
        if filter.terms:
            before = lists.FAR if cursor is None else cursor
            return await search(self._readers, filter, before, limit, counted=counted, clock=self._clock)
        return await lists.find(self._readers, filter, cursor, limit)

    async def counts(self) -> Counts:
        return await lists.counts(self._readers)

    async def claim(
        self,
        room: Mapping[str, int],
        limit: int,
        boot: str,
        ttl: timedelta,
        now: datetime,
        *,
        box: str | None = None,
        overall: Mapping[str, int] = {},
        most_bytes: int | None = None,
    ) -> Sequence[Job]:
        def taken(tx: Transaction) -> Sequence[Job]:
            return claims.claim(tx, room, limit, boot, ttl, now, box=box, overall=overall, most_bytes=most_bytes)

        return await self._writer.run(taken, spends=False)

    async def extend(self, leases: Sequence[Lease], until: datetime, now: datetime) -> Mapping[JobId, Job]:
        def work(tx: Transaction) -> dict[JobId, Job]:
            held = {}
            for lease in leases:
                values = (micros(until), lease.job_id, lease.epoch, lease.boot, micros(now))
                if row := tx.execute(lists.EXTEND, values).fetchone():
                    held[lease.job_id] = job = job_from(row)
                    tx.known.moved(job)
            return held

        return MappingProxyType(await self._writer.run(work))

    async def change(
        self, job_id: JobId, decide: Decide, *, lease: Lease | None = None, limits: QueueLimits = QueueLimits()
    ) -> Job:
        return await self._writer.run(lambda tx: jobs.change(tx, job_id, decide, lease, limits))

    async def expired(self, now: datetime, boot: str, limit: int) -> Sequence[Lease]:
        return await lists.expired(self._readers, now, boot, limit)

    async def suspects(self) -> Sequence[Job]:
        return await lists.suspects(self._readers)

    async def stopping(self, boot: str) -> None:
        await self._writer.run(lambda tx: tx.execute("insert or replace into meta values ('stopping', ?)", (boot,)))

    async def was_stopping(self, boot: str) -> bool:
        return bool(await self._readers.fetch("select 1 from meta where key = 'stopping' and value = ?", (boot,)))

    async def shift(self, delta: timedelta) -> None:
        def work(tx: Transaction) -> None:
            pruning.shift(tx, delta)
            tx.known.forget()

        await self._writer.run(work)

    async def next_due(self, types: Sequence[str]) -> datetime | None:
        if self._writer.none_delayed:  # one that comes later is told of by its event
            return None
        rows = await self._readers.fetch(*lists.next_due(types))
        return moment_or_none(rows[0][0]) if rows else None

    async def age(self, now: datetime, step: timedelta, limit: int) -> int:
        return await self._writer.run(lambda tx: pruning.age(tx, now, step, limit))

    async def events(self, after: int, filter: Filter, limit: int) -> Sequence[Event]:
        return await lists.events(self._readers, after, filter, limit)

    async def event_bounds(self) -> tuple[int, int]:
        return await lists.event_bounds(self._readers)

    async def pause(self, type: str, paused: bool) -> None:
        sql = "insert or ignore into paused values (?)" if paused else "delete from paused where type = ?"

        def work(tx: Transaction) -> frozenset[str]:
            tx.execute(sql, (type,))
            return _paused(tx)

        self._kept.paused = await self._writer.run(work)

    async def paused(self) -> frozenset[str]:
        return self._kept.paused

    async def limit(self, type: str, concurrency: int | None) -> None:
        def work(tx: Transaction) -> Mapping[str, int]:
            tx.execute("delete from type_limits where type = ?", (type,))
            if concurrency is not None:
                tx.execute("insert into type_limits values (?, ?)", (type, concurrency))
            return _limits(tx)

        self._kept.limits = await self._writer.run(work)

    async def limits(self) -> Mapping[str, int]:
        return self._kept.limits

    async def prune(self, what: Prune) -> Sequence[JobId]:
        return await self._writer.run(lambda tx: pruning.prune(tx, what))

    async def close(self) -> None:
        await self._readers.close()
        await self._writer.close()


def _made_once(tx: Transaction, name: str, size: int) -> str:
    """So many random bytes in hexadecimal, drawn when they are first asked for and kept since."""
    row: Any = tx.execute("select value from meta where key = ?", (name,)).fetchone()
    if row is None:
        row = (secrets.token_hex(size),)
        tx.execute("insert into meta values (?, ?)", (name, *row))
    return str(row[0])


def _kept(tx: Transaction) -> Kept:
    generation, secret = _made_once(tx, "generation", 4), _made_once(tx, "secret", 32)
    return Kept(generation, bytes.fromhex(secret), _paused(tx), _limits(tx))


def _paused(tx: Transaction) -> frozenset[str]:
    return frozenset(type for (type,) in tx.execute("select type from paused"))


def _limits(tx: Transaction) -> Mapping[str, int]:
    return MappingProxyType(dict(tx.execute("select type, concurrency from type_limits")))
