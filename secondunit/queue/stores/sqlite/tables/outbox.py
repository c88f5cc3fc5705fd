"""Outbox table: deliveries that were written in the transaction of the end they tell of."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from secondunit.queue.model import JobId, Notice
from secondunit.queue.ports.duties import Duty
from secondunit.queue.store import PAGE, Delivery
from secondunit.queue.stores.columns import names
from secondunit.queue.stores.port_rows import new_delivery_values
from secondunit.queue.stores.rows import (
    DELIVERY_COLUMNS,
    DELIVERY_MOVING,
    delivery_from,
    delivery_values,
    micros,
    moment_or_none,
)
from secondunit.queue.stores.sqlite.readers import Readers
from secondunit.queue.stores.sqlite.tables.shared import duties
from secondunit.queue.stores.sqlite.transaction import Transaction
from secondunit.queue.stores.sqlite.writer import Writer

INSERT = """
insert into deliveries (id, job, kind, address, notice, state, attempts, created_at, next_at)
values (?, ?, ?, ?, ?, 'pending', 0, ?, ?)"""
SELECT = f"select {DELIVERY_COLUMNS} from deliveries where id = ?"
OF_JOB = f"""
select {DELIVERY_COLUMNS}
from deliveries
where job = (select seq from jobs where id = ?)
order by seq desc"""
FIRST_PENDING = """
select id
from deliveries
where job = (select seq from jobs where id = ?) and state = 'pending'
order by seq
limit 1"""
GIVEN_UP = """
select j.id
from (select job, seq from deliveries where state = 'dead' order by seq desc limit 1000) d
join jobs j on j.seq = d.job
group by j.id
order by max(d.seq) desc
limit ?"""
DUE = """
select {columns}
from deliveries d
where state = 'pending' and next_at <= ?
  and not exists (
    select 1
    from deliveries earlier
    where earlier.job = d.job and earlier.seq < d.seq and earlier.state = 'pending')
  and id not in (select value from json_each(?)){of}
order by next_at"""
NEXT_DUE = "select min(next_at) from deliveries where state = 'pending'"
OF_KINDS = " and kind in (select value from json_each(?))"
COUNTS = """
select 'pending', count(*) from deliveries where state = 'pending'
union all
select 'delivered', count(*) from deliveries where state = 'delivered'
union all
select 'dead', count(*) from deliveries where state = 'dead'"""
UPDATE = f"update deliveries set {' = ?, '.join(names(DELIVERY_MOVING))} = ? where id = ?"


class SqliteOutbox:
    """The Outbox port; see `secondunit.queue.store.Outbox`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def get(self, delivery_id: str) -> Delivery:
        rows = await self._readers.fetch(SELECT, (delivery_id,))
        if not rows:
            raise KeyError(delivery_id)
        return delivery_from(rows[0])

    async def of_job(self, job_id: JobId) -> Sequence[Delivery]:
        newest, _ = await self._readers.page(OF_JOB, (job_id,), PAGE)
        return [delivery_from(row) for row in reversed(newest)]

    async def first_pending(self, job_id: JobId) -> str | None:
        rows = await self._readers.fetch(FIRST_PENDING, (job_id,))
        return rows[0][0] if rows else None

    async def given_up(self, limit: int) -> Sequence[JobId]:
        return [id for (id,) in await self._readers.fetch(GIVEN_UP, (limit,))]

    async def due(
        self, now: datetime, limit: int, *, except_for: Sequence[str] = (), kinds: Sequence[str] | None = None
    ) -> tuple[Sequence[Delivery], bool]:
        of, only = _only(kinds)
        sql = DUE.format(columns=DELIVERY_COLUMNS, of=of)
        rows, more = await self._readers.page(sql, (micros(now), json.dumps(except_for), *only), limit)
        return [delivery_from(row) for row in rows], more

    async def next_due(self, kinds: Sequence[str] | None = None) -> datetime | None:
        of, only = _only(kinds)
        [[at]] = await self._readers.fetch(NEXT_DUE + of, only)
        return moment_or_none(at)

    async def change(
        self, delivery_id: str, decide: Callable[[Delivery], Delivery], *, duty: Duty | None = None
    ) -> Delivery:
        def work(tx: Transaction) -> Delivery:
            row = tx.execute(SELECT, (delivery_id,)).fetchone()
            if row is None:
                raise KeyError(delivery_id)
            after = decide(delivery_from(row))
            tx.execute(UPDATE, (*delivery_values(after), delivery_id))
            return after

        return await self._writer.run(duties.fenced(duty, work))

    async def counts(self) -> Mapping[str, int]:
        return dict(await self._readers.fetch(COUNTS, ()))


def _only(kinds: Sequence[str] | None) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if kinds is None else (OF_KINDS, (json.dumps(kinds),))


def add(tx: Transaction, seq: int, of: str, notice: Notice) -> None:
    """Store what is due for the job of this number; `of` is the id of what has ended."""
    tx.execute(INSERT, new_delivery_values(seq, of, notice))
