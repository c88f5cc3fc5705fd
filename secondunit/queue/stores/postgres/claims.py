"""Claims: the next jobs that are ready, of each type as many as it has room for, past those that others are taking.

Those that are bound to a box stand in a line of their own, so that no claim passes those of a box that is gone.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from secondunit.queue import state
from secondunit.queue.model import Job
from secondunit.queue.stores.postgres.grouped import Statement
from secondunit.queue.stores.postgres.tables import jobs
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.queue.stores.rows import JOB_COLUMNS, job_from, micros

PROMOTE_AT_ONCE = 500
PROMOTE = f"""
update jobs
set delayed = 0
where seq in (
  select seq
  from jobs
  where status = 'queued' and delayed = 1 and waiting_for is null and ready_at <= %s
  order by ready_at
  limit {PROMOTE_AT_ONCE}
  for update skip locked)
returning 1"""
WITHOUT_LEASE = ", ".join(f"null as {name}" if name in jobs.OF_LEASE else name for name in JOB_COLUMNS.split(", "))
WIDTH = len(JOB_COLUMNS.split(", "))
WAITS = "status = 'queued' and delayed = 0 and suspicion is null and waiting_for is null"
FIRST = f"""
    select * from (
      select {WITHOUT_LEASE}, rank
      from jobs
      where {WAITS} and {{}} and type = room.of_type
      order by rank, seq
      limit room.free
      for update skip locked) {{}}"""
# Of each type as many as it has room for, past those that another daemon is about to take.
READY = f"""
select line.*
from unnest(%s::text[], %s::bigint[]) as room (of_type, free)
cross join lateral (
  select * from ({FIRST.format("box is null", "anywhere")}
    union all{FIRST.format("{}", "here")}) heads
  order by rank, seq
  limit room.free) line
order by line.rank, line.seq
limit %s"""
READY_HERE, READY_OF_ANY = READY.format("box = %s"), READY.format("box is not null")
# What a run is given is measured as it lies there: a text that stands elsewhere (TOAST) is not read for it.
FITTING = """
select *
from (
  select ready.*, row_number() over line as nth, sum(
    octet_length(payload)
    + coalesce((select sum(octet_length(result)) from steps where steps.job = ready.seq), 0)
    + coalesce((
      select sum(octet_length(up.result))
      from parents
      join jobs up on up.seq = parents.parent
      where parents.child = ready.seq), 0)) over line as bytes
  from ({}) ready
  window line as (order by rank, seq)) sized
where nth = 1 or bytes <= %s
order by nth"""


def claim(
    tx: PostgresTransaction,
    room: Mapping[str, int],
    limit: int,
    boot: str,
    ttl: timedelta,
    now: datetime,
    *,
    box: str | None = None,
    overall: Mapping[str, int] = {},
    most_bytes: int | None = None,
) -> list[Job]:
    """Lease the next jobs."""
    room = _within(tx, room, overall) if overall else room
    free = {type: min(n, limit) for type, n in room.items() if n > 0}
    here = (READY_OF_ANY, ()) if box is None else (READY_HERE, (box,))
    ready = (here[0], (list(free), list(free.values()), *here[1], limit))
    if most_bytes is not None and limit > 1:
        ready = (FITTING.format(ready[0]), (*ready[1], most_bytes))
    rows = promote(tx, now, *([ready] if limit > 0 and free else []))
    return [jobs.write(tx, job, state.start(job, boot, ttl, now)) for job in (job_from(row[:WIDTH]) for row in rows)]


def _within(tx: PostgresTransaction, room: Mapping[str, int], overall: Mapping[str, int]) -> Mapping[str, int]:
    """The room that is left by what runs anywhere; counted while nobody else can start any, if there is any to start.

    Whoever starts a job holds the numbers up to the commit, so nobody's start is missed who counts after having them.
    """
    limited = [type for type in overall if room.get(type, 0) > 0]
    if not limited or not tx.some_wait(limited):
        return {type: n for type, n in room.items() if type not in limited}
    running = tx.running(limited)
    return state.within(room, overall, lambda type: running.get(type, 0))


def promote(tx: PostgresTransaction, now: datetime, *then: Statement) -> list[Any]:
    """Make waiting jobs ready whose time has come; the rows of what is asked for then."""
    while True:
        promoted, *rows = tx.ask([(PROMOTE, (micros(now),)), *then])
        if promoted:
            tx.wrote_something()
        if len(promoted) < PROMOTE_AT_ONCE:
            return rows[0] if then else []
