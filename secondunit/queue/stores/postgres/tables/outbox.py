"""Outbox table: deliveries that were written in the transaction of the end they tell of."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from secondunit.queue.model import JobId, Notice
from secondunit.queue.ports.duties import Duty
from secondunit.queue.ports.pages import PAGE_BYTES
from secondunit.queue.store import PAGE, Delivery
from secondunit.queue.stores.columns import names
from secondunit.queue.stores.port_rows import new_delivery_values
from secondunit.queue.stores.postgres.readers import PostgresReaders
from secondunit.queue.stores.postgres.tables.shared import duties
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.queue.stores.postgres.writer import PostgresWriter
from secondunit.queue.stores.rows import (
    DELIVERY_COLUMNS,
    DELIVERY_MOVING,
    delivery_from,
    delivery_values,
    micros,
    moment_or_none,
)

INSERT = """
insert into deliveries (id, job, kind, address, notice, state, attempts, created_at, next_at)
values (%s, %s, %s, %s, %s, 'pending', 0, %s, %s)"""
SELECT = f"select {DELIVERY_COLUMNS} from deliveries where id = %s"
OF_JOB = f"""
select {DELIVERY_COLUMNS}
from (
  select *, row_number() over newest as nth, sum(octet_length(notice)) over newest as bytes
  from deliveries
  where job = (select seq from jobs where id = %s)
  window newest as (order by seq desc)) sized
where nth <= %s and (nth = 1 or bytes <= %s)
order by seq"""
FIRST_PENDING = """
select id
from deliveries
where job = (select seq from jobs where id = %s) and state = 'pending'
order by seq
limit 1"""
GIVEN_UP = """
select j.id
from (select job, seq from deliveries where state = 'dead' order by seq desc limit 1000) d
join jobs j on j.seq = d.job
group by j.id
order by max(d.seq) desc
limit %s"""
DUE = """
select {columns}, of_them
from (
  select *,
    count(*) over () as of_them,
    row_number() over oldest as nth,
    sum(octet_length(notice)) over oldest as bytes
  from (
    select *
    from deliveries d
    where state = 'pending' and next_at <= %s
      and not exists (
        select 1
        from deliveries earlier
        where earlier.job = d.job and earlier.seq < d.seq and earlier.state = 'pending')
      and id <> all(%s){of}
    order by next_at
    limit %s) due
  window oldest as (order by next_at, seq)) sized
where nth <= %s and (nth = 1 or bytes <= %s)
order by nth"""
NEXT_DUE = "select min(next_at) from deliveries where state = 'pending'"
OF_KINDS = " and kind = any(%s)"
COUNTS = """
select 'pending', count(*) from deliveries where state = 'pending'
union all
select 'delivered', count(*) from deliveries where state = 'delivered'
union all
select 'dead', count(*) from deliveries where state = 'dead'"""
UPDATE = f"update deliveries set {' = %s, '.join(names(DELIVERY_MOVING))} = %s where id = %s"


class PostgresOutbox:
    """The Outbox port; see `secondunit.queue.store.Outbox`."""

    def __init__(self, writer: PostgresWriter, readers: PostgresReaders) -> None:
        self._writer = writer
        self._readers = readers

    async def get(self, delivery_id: str) -> Delivery:
        rows = await self._readers.fetch(SELECT, (delivery_id,))
        if not rows:
            raise KeyError(delivery_id)
        return delivery_from(rows[0])

    async def of_job(self, job_id: JobId) -> Sequence[Delivery]:
        return [delivery_from(row) for row in await self._readers.fetch(OF_JOB, (job_id, PAGE, PAGE_BYTES))]

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
        values = (micros(now), list(except_for), *only, limit + 1, limit, PAGE_BYTES)
        rows = await self._readers.fetch(sql, values)
        return [delivery_from(row[:-1]) for row in rows], bool(rows) and rows[0][-1] > len(rows)

    async def next_due(self, kinds: Sequence[str] | None = None) -> datetime | None:
        of, only = _only(kinds)
        [[at]] = await self._readers.fetch(NEXT_DUE + of, only)
        return moment_or_none(at)

    async def change(
        self, delivery_id: str, decide: Callable[[Delivery], Delivery], *, duty: Duty | None = None
    ) -> Delivery:
        def work(tx: PostgresTransaction) -> Delivery:
            rows = tx.execute(f"{SELECT} for update", (delivery_id,))
            if not rows:
                raise KeyError(delivery_id)
            after = decide(delivery_from(rows[0]))
            tx.send(UPDATE, (*delivery_values(after), delivery_id))
            return after

        return await self._writer.run(duties.fenced(duty, work))

    async def counts(self) -> Mapping[str, int]:
        return dict(await self._readers.fetch(COUNTS, ()))


def _only(kinds: Sequence[str] | None) -> tuple[str, tuple[list[str], ...]]:
    return ("", ()) if kinds is None else (OF_KINDS, (list(kinds),))


def add(tx: PostgresTransaction, seq: int, of: str, notice: Notice) -> None:
    """Store what is due for the job of this number; `of` is the id of what has ended."""
    tx.send(INSERT, new_delivery_values(seq, of, notice))
