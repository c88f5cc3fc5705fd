"""Read queries over many rows: lists of jobs, counts, leases that ran out, events."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from secondunit.queue.ids import box_of
from secondunit.queue.model import Counts, Event, Filter, Job, Lease, Page, Status
from secondunit.queue.ports.holders import REMOTE
from secondunit.queue.ports.pages import PAGE_BYTES, page_of
from secondunit.queue.stores.postgres.readers import PostgresReaders
from secondunit.queue.stores.postgres.tables.shared.standing import ROWS
from secondunit.queue.stores.postgres.transaction import EVENTS
from secondunit.queue.stores.rows import (
    JOB_COLUMNS,
    WIDE,
    event_from,
    job_from,
    micros,
    moment,
    moment_or_none,
)
from secondunit.queue.turns import made_in_turns

SUSPECTS = f"{ROWS} where suspicion is not null order by seq"
# Of heartbeats, which come often, a narrow row is written each; jobs themselves are only read.
EXTEND = """
update leases
set lease_until = %s
from unnest(%s::text[], %s::bigint[], %s::text[]) as held (id, epoch, boot)
join jobs on jobs.id = held.id
where leases.job = jobs.seq and lease_epoch = held.epoch and leases.boot = held.boot and lease_until >= %s
returning leases.job"""
# A boot that names its box before a `/` is told of that box's other boots alone: others' leases end by their time.
# A boot that names no box was one of a queue in a file, which was moved here: nobody can be it.
EXPIRED = f"""
select jobs.id, lease_epoch, boot, lease_until
from leases
join jobs on jobs.seq = leases.job
where lease_until < %(now)s
  or (boot <> %(boot)s and starts_with(boot, %(box)s))
  or (strpos(boot, '/') = 0 and not starts_with(boot, '{REMOTE} ') and boot <> %(boot)s)
order by leases.job
limit %(limit)s"""
NEWEST = "select seq from jobs where seq < %s order by seq desc limit %s"
OF_STATES = """
select newest.seq
from unnest(%s::text[]) as of_type
cross join unnest(%s::text[]) as of_status
cross join lateral (
  select seq
  from jobs
  where type = of_type and status = of_status and seq < %s
  order by seq desc
  limit %s) newest
order by newest.seq desc
limit %s"""
OLDEST_READY = """
select min(head.ready_at)
from (select type from counts where status = 'queued' and n > 0) queued
cross join generate_series(0, 4) as of_rank
cross join lateral (
  select * from (
    select ready_at
    from jobs
    where status = 'queued' and delayed = 0 and suspicion is null and waiting_for is null and box is null
      and type = queued.type and rank = of_rank
    order by seq
    limit 1) anywhere
  union all
  select * from (
    select ready_at
    from jobs
    where status = 'queued' and delayed = 0 and suspicion is null and waiting_for is null and box is not null
      and type = queued.type and rank = of_rank
    order by seq
    limit 1) bound) head"""
NEXT_DUE = """
select ready_at
from jobs
where status = 'queued' and delayed = 1 and waiting_for is null and type = any(%s)
order by ready_at
limit 1"""
# The first of some jobs as far as there is room for their texts, and how many there are of them. The sizes are read of
# rows alone: a text that stands elsewhere (TOAST) stays there.
WITHIN = f"""
select {JOB_COLUMNS}, of_them
from (
  select
    seq as place,
    count(*) over () as of_them,
    row_number() over newest as nth,
    sum({" + ".join(f"coalesce(octet_length({column}), 0)" for column in WIDE)}) over newest as bytes
  from jobs
  where seq in ({{}})
  window newest as (order by seq desc)) sized
join jobs on jobs.seq = place
left join leases on leases.job = jobs.seq
where nth <= %s and (nth = 1 or bytes <= %s)
order by jobs.seq desc"""
OF_BATCH = "seq between (select first from batches where id = %s) and (select last from batches where id = %s)"
BOUNDS = "select events_floor + 1, last_event from numbers"
FAR = 2**62


async def find(readers: PostgresReaders, filter: Filter, cursor: int | None, limit: int) -> Page:
    """A page of jobs, and how many match in all."""
    before = FAR if cursor is None else cursor
    if filter.ids or filter.batch is not None or filter.owner is not None:
        return await _find_some(readers, filter, before, limit)
    counted = await readers.fetch("select type, status, n from counts")
    total = sum(n for type, status, n in counted if _fits(filter, type, status))
    if not filter.types and not filter.statuses:
        return await paged(readers, NEWEST, (before, limit + 1), limit, total)
    types = sorted({type for type, _, _ in counted if not filter.types or type in filter.types})
    statuses = [status.value for status in dict.fromkeys(filter.statuses or Status)]
    return await paged(readers, OF_STATES, (types, statuses, before, limit + 1, limit + 1), limit, total)


async def _find_some(readers: PostgresReaders, filter: Filter, before: int, limit: int) -> Page:
    """Of these ids, of a batch or of an owner: few, or found and counted by an index."""
    where, values = conditions(filter)
    [[total]] = await readers.fetch(f"select count(*) from jobs where {where}", values)
    sql = f"select seq from jobs where {where} and seq < %s order by seq desc limit %s"
    return await paged(readers, sql, [*values, before, limit + 1], limit, total)


async def paged(readers: PostgresReaders, seqs: str, values: Sequence[Any], limit: int, total: int) -> Page:
    """The jobs of the numbers that a statement gives, one more than fit at most; `total` match in all."""
    rows = await readers.fetch(WITHIN.format(seqs), [*values, limit, PAGE_BYTES])
    more = bool(rows) and rows[0][-1] > len(rows)
    return page_of(await made_in_turns(job_from, [row[:-1] for row in rows]), more, total)


def conditions(filter: Filter) -> tuple[str, list[Any]]:
    """What the fields of a filter ask for, but for its terms."""
    asked: list[tuple[str, list[Any]]] = [("true", [])]
    for column, wanted in (("id", filter.ids), ("type", filter.types), ("status", filter.statuses)):
        if wanted:
            asked.append((f"{column} = any(%s)", [[str(value) for value in wanted]]))
    if filter.owner is not None:
        asked.append(("owner = %s", [filter.owner]))
    if filter.batch is not None:
        asked.append((OF_BATCH, [filter.batch, filter.batch]))
    return " and ".join(sql for sql, _ in asked), [value for _, values in asked for value in values]


def _fits(filter: Filter, type: str, status: str) -> bool:
    return (not filter.types or type in filter.types) and (not filter.statuses or status in filter.statuses)


async def counts(readers: PostgresReaders) -> Counts:
    """How many jobs stand where, and since when the longest waiting one is ready."""
    rows = await readers.fetch("select type, status, n from counts where n > 0")
    queued = {type: n for type, status, n in rows if status == Status.QUEUED}
    running = {type: n for type, status, n in rows if status == Status.RUNNING}
    ended: dict[str, int] = {}
    each: dict[str, dict[str, int]] = {}
    for type, status, n in rows:
        each.setdefault(type, {})[status] = n
        if Status(status).ended:
            ended[type] = ended.get(type, 0) + n
    [[oldest]] = await readers.fetch(OLDEST_READY)
    completed = {type: n for type, status, n in rows if status == Status.COMPLETED}
    return Counts(queued, running, ended, moment_or_none(oldest), completed, each)


async def expired(readers: PostgresReaders, now: datetime, boot: str, limit: int) -> list[Lease]:
    """Leases that ran out, and those of other boots."""
    values = {"now": micros(now), "boot": boot, "box": box_of(boot), "limit": limit}
    rows = await readers.fetch(EXPIRED, values)
    return [Lease(id, epoch, boot, moment(until)) for id, epoch, boot, until in rows]


async def next_due(readers: PostgresReaders, types: Sequence[str]) -> datetime | None:
    """When the next waiting job of these types is ready."""
    rows = await readers.fetch(NEXT_DUE, (list(types),))
    return moment(rows[0][0]) if rows else None


async def events(readers: PostgresReaders, after: int, filter: Filter, limit: int) -> list[Event]:
    """Stored events in order; every one below a stored one is stored, since they are numbered as they are committed."""
    clauses = ""
    values: list[Any] = [after]
    owners = () if filter.owner is None else (filter.owner,)
    for column, wanted in (("j.id", filter.ids), ("j.type", filter.types), ("j.owner", owners)):
        if wanted:
            clauses += f" and {column} = any(%s)"
            values.append(list(wanted))
    rows = await readers.fetch(f"{EVENTS}{clauses} order by e.seq limit %s", [*values, limit])
    return [event_from(row) for row in rows]


async def event_bounds(readers: PostgresReaders) -> tuple[int, int]:
    """The first seq from which on none was pruned, and the last one given out."""
    [(oldest, last)] = await readers.fetch(BOUNDS)
    return oldest, last


async def suspects(readers: PostgresReaders) -> Sequence[Job]:
    """The jobs under suspicion."""
    return [job_from(row) for row in await readers.fetch(SUSPECTS)]
