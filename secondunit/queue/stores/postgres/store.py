"""PostgreSQL store: one connection writes, on a thread of its own, a few read, on the event loop."""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from secondunit.queue.errors import JobNotFound
from secondunit.queue.ids import box_of
from secondunit.queue.model import Batch, Change, Counts, Event, Filter, Job, JobId, Lease, Page
from secondunit.queue.ports.duties import Duty
from secondunit.queue.ports.pruning import Prune
from secondunit.queue.ports.schedules import ScheduleState
from secondunit.queue.state import QueueLimits
from secondunit.queue.store import Decide, Listener
from secondunit.queue.stores.postgres import claims
from secondunit.queue.stores.postgres.engine import Follow, PostgresEngine
from secondunit.queue.stores.postgres.failover.servers import Servers
from secondunit.queue.stores.postgres.readers import PostgresReaders
from secondunit.queue.stores.postgres.session import PATIENCE
from secondunit.queue.stores.postgres.tables import jobs, pruning
from secondunit.queue.stores.postgres.tables import queries as lists
from secondunit.queue.stores.postgres.tables.access import PostgresAccessKeys, PostgresAuditTrail
from secondunit.queue.stores.postgres.tables.cache import PostgresCache
from secondunit.queue.stores.postgres.tables.folders import PostgresFolders
from secondunit.queue.stores.postgres.tables.kin import PostgresGraph
from secondunit.queue.stores.postgres.tables.outbox import PostgresOutbox
from secondunit.queue.stores.postgres.tables.schedules import PostgresSchedules
from secondunit.queue.stores.postgres.tables.search import search
from secondunit.queue.stores.postgres.tables.shared import standing, time_series
from secondunit.queue.stores.postgres.tables.shared.boxes import PostgresBoxes
from secondunit.queue.stores.postgres.tables.shared.duties import PostgresDuties, fenced
from secondunit.queue.stores.postgres.tables.sight import PostgresSight
from secondunit.queue.stores.postgres.tables.steps import PostgresSteps
from secondunit.queue.stores.postgres.transaction import Ahead, PostgresTransaction
from secondunit.queue.stores.postgres.writer import PostgresWriter
from secondunit.queue.stores.rows import job_from, micros

READERS = 3
MADE_ONCE = "insert into meta values (%s, %s) on conflict do nothing"
PAUSE = "insert into paused values (%s) on conflict do nothing"
RESUME = "delete from paused where type = %s"
STOPPING = "insert into meta values (%s, %s) on conflict (key) do update set value = excluded.value"


async def open_store(
    url: str,
    *,
    clock: Callable[[], float] | None = None,
    follow: Follow | None = None,
    patience: float = PATIENCE,
    note: Path | None = None,
) -> "PostgresStore":
    """Open the queue in the database of this URL, whose tables are made if there are none.

    By a `clock` (monotonic, seconds) searches end early that would take long; without one they look at everything.
    `follow` is told the server's time, now and again. A server that is gone is waited for, `patience` seconds long.
    In the file `note` it is kept which server was the primary, so that one of before a failover is known again.

    Raises StoreBroken when the database can't be used.
    """
    loop, go_on, foresee, count = asyncio.get_running_loop(), jobs.go_on, jobs.foresee, time_series.count_some
    servers = Servers(url, note)
    writer = PostgresWriter(servers, loop, go_on=go_on, foresee=foresee, count=count, patience=patience)
    await writer.open()
    secret = await writer.run(lambda tx: _made_once(tx, "secret", 32))
    readers = PostgresReaders(servers, READERS, patience)
    engine = PostgresEngine(writer, readers, servers, follow)
    await engine.follow_time()
    return PostgresStore(writer, readers, engine, bytes.fromhex(secret), clock)


class PostgresStore:
    """The Store port on PostgreSQL; see `secondunit.queue.store.Store` for what each method promises."""

    def __init__(
        self,
        writer: PostgresWriter,
        readers: PostgresReaders,
        engine: PostgresEngine,
        secret: bytes,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.engine = engine
        self.steps = PostgresSteps(writer, readers)
        self.outbox = PostgresOutbox(writer, readers)
        self.cache = PostgresCache(writer, readers)
        self.folders = PostgresFolders(writer, readers)
        self.keys = PostgresAccessKeys(writer, readers)
        self.audit = PostgresAuditTrail(writer, readers)
        self.sight = PostgresSight(writer, readers)
        self.schedules = PostgresSchedules(writer, readers)
        self.duties = PostgresDuties(writer, readers)
        self.graph = PostgresGraph(readers)
        self.boxes = PostgresBoxes(writer, readers)
        self._writer = writer
        self._readers = readers
        self._secret = secret
        self._clock = clock

    @property
    def generation(self) -> str:
        return self._writer.lineage.generation

    @property
    def secret(self) -> bytes:
        return self._secret

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
        alone = not (duty or batch or schedule or any(change.job.bonds for change in changes))
        work = fenced(duty, lambda tx: jobs.add(tx, changes, limits, schedule, batch))
        return await self._writer.run(work, Ahead(fresh=len(changes)) if alone else None)

    async def known(self, key: str, now: datetime) -> tuple[JobId, bytes] | None:
        rows = await self._readers.fetch(standing.SELECT_KEY, (key, micros(now)))
        return (rows[0][0], rows[0][1]) if rows else None

    async def get(self, job_id: JobId) -> Job:
        rows = await self._readers.fetch(jobs.SELECT, (job_id,))
        if not rows:
            raise JobNotFound(job_id)
        return job_from(rows[0])

    async def live_twin(self, dedupe_key: str) -> Job | None:
        rows = await self._readers.fetch(standing.SELECT_TWIN, ([dedupe_key],))
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
        def taken(tx: PostgresTransaction) -> Sequence[Job]:
            return claims.claim(tx, room, limit, boot, ttl, now, box=box, overall=overall, most_bytes=most_bytes)

        return await self._writer.run(taken, Ahead())

    async def extend(self, leases: Sequence[Lease], until: datetime, now: datetime) -> Mapping[JobId, Job]:
        held = [lease.job_id for lease in leases], [lease.epoch for lease in leases], [lease.boot for lease in leases]

        def work(tx: PostgresTransaction) -> Mapping[JobId, Job]:
            beaten = [seq for (seq,) in tx.write(lists.EXTEND, (micros(until), *held, micros(now)))]
            found = map(job_from, tx.execute(jobs.SELECT_NUMBERS, (beaten,)) if beaten else [])
            return MappingProxyType({job.id: job for job in found})

        return await self._writer.run(work)

    async def change(
        self, job_id: JobId, decide: Decide, *, lease: Lease | None = None, limits: QueueLimits = QueueLimits()
    ) -> Job:
        return await self._writer.run(lambda tx: jobs.change(tx, job_id, decide, lease, limits), Ahead((job_id,)))

    async def expired(self, now: datetime, boot: str, limit: int) -> Sequence[Lease]:
        return await lists.expired(self._readers, now, boot, limit)

    async def suspects(self) -> Sequence[Job]:
        return await lists.suspects(self._readers)

    async def stopping(self, boot: str) -> None:
        await self._writer.run(lambda tx: tx.send(STOPPING, (f"stopping {box_of(boot)}", boot)))

    async def was_stopping(self, boot: str) -> bool:
        values = (f"stopping {box_of(boot)}", boot)
        return bool(await self._readers.fetch("select 1 from meta where key = %s and value = %s", values))

    async def shift(self, delta: timedelta) -> None:
        await self._writer.run(lambda tx: pruning.shift(tx, delta))

    async def next_due(self, types: Sequence[str]) -> datetime | None:
        return await lists.next_due(self._readers, types)

    async def age(self, now: datetime, step: timedelta, limit: int) -> int:
        return await self._writer.run(lambda tx: pruning.age(tx, now, step, limit))

    async def events(self, after: int, filter: Filter, limit: int) -> Sequence[Event]:
        return await lists.events(self._readers, after, filter, limit)

    async def event_bounds(self) -> tuple[int, int]:
        return await lists.event_bounds(self._readers)

    async def pause(self, type: str, paused: bool) -> None:
        await self._writer.run(lambda tx: tx.send(PAUSE if paused else RESUME, (type,)))

    async def paused(self) -> frozenset[str]:
        return frozenset(type for (type,) in await self._readers.fetch("select type from paused"))

    async def limit(self, type: str, concurrency: int | None) -> None:
        def work(tx: PostgresTransaction) -> None:
            tx.send("delete from type_limits where type = %s", (type,))
            if concurrency is not None:
                tx.send("insert into type_limits values (%s, %s)", (type, concurrency))

        await self._writer.run(work)

    async def limits(self) -> Mapping[str, int]:
        return MappingProxyType(dict(await self._readers.fetch("select type, concurrency from type_limits")))

    async def prune(self, what: Prune) -> Sequence[JobId]:
        return await self._writer.run(lambda tx: pruning.prune(tx, what))

    async def close(self) -> None:
        await self._writer.close()
        await self._readers.close()


def _made_once(tx: PostgresTransaction, name: str, size: int) -> str:
    """So many random bytes in hexadecimal, drawn by who is first to ask for them and kept since."""
    tx.send(MADE_ONCE, (name, secrets.token_hex(size)))
    [[value]] = tx.execute("select value from meta where key = %s", (name,))
    return str(value)
