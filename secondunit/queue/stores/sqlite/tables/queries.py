"""Read queries over many rows: lists of jobs, counts, leases that ran out, events."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from secondunit.queue.model import Counts, Event, Filter, Job, Lease, Page, Status
from secondunit.queue.ports.pages import page_of
from secondunit.queue.stores.columns import names
from secondunit.queue.stores.rows import EVENT, JOB_COLUMNS, event_from, job_from, micros, moment, moment_or_none
from secondunit.queue.stores.sqlite.readers import Readers
from secondunit.queue.stores.sqlite.transaction import LAST_EVENT
from secondunit.queue.turns import made_in_turns

SUSPECTS = f"select {JOB_COLUMNS} from jobs where suspicion is not null order by seq"
EXTEND = f"""
update jobs
set lease_until = ?
where id = ? and status = 'running' and epoch = ? and boot = ? and lease_until >= ?
returning {JOB_COLUMNS}"""
EXPIRED = """
select id, epoch, boot, lease_until
from jobs
where status = 'running' and (lease_until < ? or boot <> ?)
limit ?"""
NEWEST = f"""
select {JOB_COLUMNS}
from jobs
where seq < ?
order by seq desc
limit ?"""
NEWEST_OF_STATE = """
select * from (
  select seq
  from jobs
  where type = ? and status = ? and seq < ?
  order by seq desc
  limit ?)"""
OLDEST_READY = """
select min(ready_at) from (
  select ready_at
  from jobs
  where status = 'queued' and delayed = 0 and suspicion is null and waiting_for is null and type = ? and rank = ?
  order by seq
  limit 1)"""
EVENTS = f"""
select {", ".join("e." + column for column in names(EVENT))}, j.id, j.type, j.owner
from events e
join jobs j on j.seq = e.job
where e.seq > ?"""
OF_SEQS = f"""
select {JOB_COLUMNS}
from jobs
where seq in ({{}})
order by seq desc"""
OF_BATCH = "seq between (select first from batches where id = ?) and (select last from batches where id = ?)"
NEWEST_OF_OWNER = """
select * from (
  select seq
  from jobs
  where owner = ? and status = ?{types} and seq < ?
  order by seq desc
  limit ?)"""
FAR = 2**62


async def find(readers: Readers, filter: Filter, cursor: int | None, limit: int) -> Page:
    """A page of jobs, and how many match in all."""
    before = FAR if cursor is None else cursor
    if filter.ids or filter.batch is not None:
        return await _find_some(readers, filter, before, limit)
    if filter.owner is not None:
        return await _find_of_owner(readers, filter, before, limit)
    counted = await readers.fetch("select type, status, n from counts", ())
    total = sum(n for type, status, n in counted if _fits(filter, type, status))
    if not filter.types and not filter.statuses:
        return await _page(readers, NEWEST, (before, limit + 1), total, limit)
    # Every status that is asked for, whatever the counts said: a job may move from one to another between two reads.
    types = sorted({type for type, _, _ in counted if not filter.types or type in filter.types})
    statuses = dict.fromkeys(filter.statuses or Status)  # one that is named twice must not be read twice
    states = [(type, status.value) for type in types for status in statuses]
    return (
        await _page(readers, *newest_of(states, before, limit + 1), total, limit) if states else Page([], total, None)
    )


def _fits(filter: Filter, type: str, status: str) -> bool:
    return (not filter.types or type in filter.types) and (not filter.statuses or status in filter.statuses)


def newest_of(states: Sequence[tuple[str, str]], before: int, limit: int) -> tuple[str, list[Any]]:
    """The newest jobs over some (type, status) pairs: each pair is a range of one index."""
    union = "\nunion all\n".join([NEWEST_OF_STATE] * len(states))
    sql = OF_SEQS.format(f"select seq from ({union}) order by seq desc limit ?")
    values = [value for type, status in states for value in (type, status, before, limit)]
    return sql, [*values, limit]


async def _find_some(readers: Readers, filter: Filter, before: int, limit: int) -> Page:
    """Of these ids or of a batch."""
    where, values = _conditions(filter)
    [[total]] = await readers.fetch(f"select count(*) from jobs where {where}", values)
    seqs = f"select seq from jobs where {where} and seq < ? order by seq desc limit ?"  # a sort holds what it sorts
    return await _page(readers, OF_SEQS.format(seqs), (*values, before, limit + 1), total, limit)


def _conditions(filter: Filter) -> tuple[str, list[Any]]:
    """What the fields of a filter ask for; type and state are looked at row by row, as there are not many."""
    named = [("id", filter.ids), ("+type", filter.types), ("+status", filter.statuses)]
    named.append(("+owner", [] if filter.owner is None else [filter.owner]))
    asked = [f"{column} in ({', '.join('?' * len(wanted))})" for column, wanted in named if wanted]
    values = [value for _, wanted in named for value in wanted]
    if filter.batch is not None:
        asked, values = [*asked, OF_BATCH], [*values, filter.batch, filter.batch]
    return " and ".join(asked), values


async def _find_of_owner(readers: Readers, filter: Filter, before: int, limit: int) -> Page:
    types = f" and type in ({', '.join('?' * len(filter.types))})" if filter.types else ""
    statuses = dict.fromkeys(filter.statuses or Status)  # as in `find`
    counted, found = list[Any](), list[Any]()
    for status in statuses:
        counted += [filter.owner, status.value, *filter.types]
        found += [filter.owner, status.value, *filter.types, before, limit + 1]
    count = f"select count(*) from jobs where owner = ? and status = ?{types}"
    [[total]] = await readers.fetch(f"select ({') + ('.join([count] * len(statuses))})", counted)
    union = "\nunion all\n".join([NEWEST_OF_OWNER.format(types=types)] * len(statuses))
    seqs = f"select seq from ({union}) order by seq desc limit ?"
    return await _page(readers, OF_SEQS.format(seqs), (*found, limit + 1), total, limit)


async def _page(readers: Readers, sql: str, values: Sequence[Any], total: int, limit: int) -> Page:
    rows, more = await readers.page(sql, values, limit)
    return page_of(await made_in_turns(job_from, rows), more, total)


async def counts(readers: Readers) -> Counts:
    """How many jobs stand where, and since when the longest waiting one is ready."""
    rows = await readers.fetch("select type, status, n from counts where n > 0", ())
    queued = {type: n for type, status, n in rows if status == Status.QUEUED}
    running = {type: n for type, status, n in rows if status == Status.RUNNING}
    ended: dict[str, int] = {}
    each: dict[str, dict[str, int]] = {}
    for type, status, n in rows:
        each.setdefault(type, {})[status] = n
        if Status(status).ended:
            ended[type] = ended.get(type, 0) + n
    heads = [(type, rank) for type in queued for rank in range(5)]
    oldest = None
    if heads:
        union = "\nunion all\n".join([OLDEST_READY] * len(heads))
        [[oldest]] = await readers.fetch(
            f"select min(ready) from (select null as ready union all {union})", sum(heads, ())
        )
    completed = {type: n for type, status, n in rows if status == Status.COMPLETED}
    return Counts(queued, running, ended, moment_or_none(oldest), completed, each)


async def expired(readers: Readers, now: datetime, boot: str, limit: int) -> list[Lease]:
    """Leases that ran out, and those of other boots."""
    rows = await readers.fetch(EXPIRED, (micros(now), boot, limit))
    return [Lease(id, epoch, boot, moment(until)) for id, epoch, boot, until in rows]


def next_due(types: Sequence[str]) -> tuple[str, list[Any]]:
    """When the next waiting job of these types is ready."""
    marks = ", ".join("?" * len(types))
    sql = f"""
select ready_at
from jobs
where status = 'queued' and delayed = 1 and waiting_for is null and +type in ({marks})
order by ready_at
limit 1"""
    return sql, list(types)


async def events(readers: Readers, after: int, filter: Filter, limit: int) -> list[Event]:
    """Stored events in order."""
    clauses = ""
    values: list[Any] = [after, limit]
    owners = () if filter.owner is None else (filter.owner,)
    for column, wanted in (("j.id", filter.ids), ("+j.type", filter.types), ("+j.owner", owners)):
        if wanted:
            clauses += f" and {column} in ({', '.join('?' * len(wanted))})"
            values[-1:-1] = wanted
    rows = await readers.fetch(f"{EVENTS}{clauses} order by e.seq limit ?", values)
    return [event_from(row) for row in rows]


async def event_bounds(readers: Readers) -> tuple[int, int]:
    """The first seq from which on none was pruned, and the last one given out."""
    sql = f"select (select cast(value as integer) + 1 from meta where key = 'events_floor'), {LAST_EVENT}"
    [(oldest, last)] = await readers.fetch(sql, ())
    return oldest, last


async def suspects(readers: Readers) -> Sequence[Job]:
    """The jobs under suspicion."""
    return [job_from(row) for row in await readers.fetch(SUSPECTS, ())]
