"""Sealing statement: the last of a transaction, which numbers its events, counts its moves and fences its commit.

All in one, since every other daemon waits from here to the commit: the row of `numbers` is locked by it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from secondunit.queue.model import Event
from secondunit.queue.stores.columns import names
from secondunit.queue.stores.postgres.grouped import Statement, as_json
from secondunit.queue.stores.rows import EVENT, event_values

COLUMNS = ("job", *names(EVENT))
# Fails by a division by zero unless this writer's last operation is the one that it thinks: see `session.py`.
FENCE = """
with moved as (
  update writers set op = %s, opened_at = now() where writer = %s and op = %s returning 1)
select 1 / count(*) from moved"""
# Each part waits for the first one, so that two daemons lock in the same order.
SEAL = f"""
with numbered as (
  update numbers set last_event = last_event + %s returning last_event - %s as first, counted),
told as (
  insert into events ({", ".join(COLUMNS)})
  select {", ".join("numbered.first + e.seq" if name == "seq" else f"e.{name}" for name in COLUMNS)}
  from numbered, json_populate_recordset(null::events, %s::json) e),
stand as (
  insert into counts (type, status, n)
  select c.type, c.status, greatest(c.n, 0)
  from numbered, unnest(%s::text[], %s::text[], %s::bigint[]) c (type, status, n)
  on conflict (type, status) do update
  set n = counts.n + (
    select c.n
    from unnest(%s::text[], %s::text[], %s::bigint[]) c (type, status, n)
    where c.type = excluded.type and c.status = excluded.status)),
moved as (
  update writers set op = %s, opened_at = now() from numbered where writer = %s and op = %s returning 1)
select first, counted, 1 / (select count(*) from moved) from numbered"""


class Operation(NamedTuple):
    """What a transaction leaves in the table of writers: whose operation it is, the one before it, and its number."""

    writer: str
    before: int
    number: int


def fence(operation: Operation) -> Statement:
    """The last statement of a transaction that moves no job."""
    return FENCE, (operation.number, operation.writer, operation.before)


def seal(told: Sequence[tuple[int, Event]], counted: Mapping[tuple[str, str], int], operation: Operation) -> Statement:
    """The last statement of one that does: events with the numbers of their jobs, how many jobs more stand where.

    Its row: the number before the first event, and that of the last one that is in the time series.
    """
    rows = [
        dict(zip(COLUMNS, (job, n, *event_values(event)[1:]), strict=True)) for n, (job, event) in enumerate(told, 1)
    ]
    moved = sorted((type, status, n) for (type, status), n in counted.items() if n)
    columns = [[row[at] for row in moved] for at in range(3)]
    return SEAL, (
        len(rows),
        len(rows),
        as_json(rows),
        *columns,
        *columns,
        operation.number,
        operation.writer,
        operation.before,
    )
