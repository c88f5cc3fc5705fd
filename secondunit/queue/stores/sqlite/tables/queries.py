"""Read queries over many rows: lists of jobs, counts, leases that ran out, events."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from secondunit.queue.model import Counts, Event, Filter, Job, Lease, Page, Status
from secondunit.queue.stores.columns import names
from secondunit.queue.stores.rows import EVENT, JOB_COLUMNS, event_from, job_from, micros, moment, moment_or_none
from secondunit.queue.stores.sqlite.readers import Readers
from secondunit.queue.stores.sqlite.transaction import LAST_EVENT

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
OF_OWNER = f"""
select {JOB_COLUMNS}
from jobs
where seq in (select seq from ({{union}}) order by seq desc limit ?)
order by seq desc"""
OF_BATCH = f"""
select {JOB_COLUMNS}
from jobs
where seq between (select first from batches where id = ?1) and (select last from batches where id = ?1)
order by seq desc"""
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
    if filter.ids:
        return await _find_by_id(readers, filter, before, limit)
    if filter.batch is not None:
        return await _find_of_batch(readers, filter, before, limit)
    if filter.owner is not None:
        return await _find_of_owner(readers, filter, before, limit)
    counted = await readers.fetch("select type, status, n from counts", ())
    total = sum(n for type, status, n in counted if _fits(filter, type, status))
    if not filter.types and not filter.statuses:
        rows = await readers.fetch(NEWEST, (before, limit + 1))
        return _page([job_from(row) for row in rows], total, limit)
    # Every status that is asked for, whatever the counts said: a job may move from one to another between two reads.
    types = sorted({type for type, _, _ in counted if not filter.types or type in filter.types})
    statuses = dict.fromkeys(filter.statuses or Status)  # one that is named twice must not be read twice
    states = [(type, status.value) for type in types for status in statuses]
    rows = await readers.fetch(*newest_of(states, before, limit + 1)) if states else []
    return _page([job_from(row) for row in rows], total, limit)


def _fits(filter: Filter, type: str, status: str) -> bool:
    return (not filter.types or type in filter.types) and (not filter.statuses or status in filter.statuses)


def newest_of(states: Sequence[tuple[str, str]], before: int, limit: int) -> tuple[str, list[Any]]:
    """The newest jobs over some (type, status) pairs: each pair is a range of one index."""
    union = "\nunion all\n".join([NEWEST_OF_STATE] * len(states))
    sql = f"""
select {JOB_COLUMNS}
from jobs
where seq in (select seq from ({union}) order by seq desc limit ?)
order by seq desc"""
    values = [value for type, status in states for value in (type, status, before, limit)]
    return sql, [*values, limit]


async def _find_by_id(readers: Readers, filter: Filter, before: int, limit: int) -> Page:
    marks = ", ".join("?" * len(filter.ids))
    rows = await readers.fetch(f"select {JOB_COLUMNS} from jobs where id in ({marks}) order by seq desc", filter.ids)
    matching = [
        job for job in map(job_from, rows) if _fits(filter, job.type, job.status) and filter.owner in (None, job.owner)
    ]
    return _page([job for job in matching if job.seq < before][: limit + 1], len(matching), limit)


async def _find_of_batch(readers: Readers, filter: Filter, before: int, limit: int) -> Page:
    rows = await readers.fetch(OF_BATCH, (filter.batch,))
    matching = [
        job for job in map(job_from, rows) if _fits(filter, job.type, job.status) and filter.owner in (None, job.owner)
    ]
    return _page([job for job in matching if job.seq < before][: limit + 1], len(matching), limit)


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
    rows = await readers.fetch(OF_OWNER.format(union=union), (*found, limit + 1))
    return _page([job_from(row) for row in rows], total, limit)


def _page(jobs: Sequence[Job], total: int, limit: int) -> Page:
    return Page(jobs[:limit], total, jobs[limit - 1].seq if len(jobs) > limit else None)


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
