"""Pruning statements: forgetting what outlived its time, aging what waits, following a clock that was set."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from secondunit.queue.model import JobId
from secondunit.queue.sight.series import COUNTERS, HOUR, HOURS_KEPT, MINUTES_KEPT, SeriesRow, begins, rolled
from secondunit.queue.store import Prune
from secondunit.queue.stores.sqlite.rows import MICROSECOND, STATUSES, micros, moment
from secondunit.queue.stores.sqlite.tables import access
from secondunit.queue.stores.sqlite.transaction import Transaction

PAGES_GIVEN_BACK = 2000  # more than a slice of 500 jobs frees, so that the file follows
FORGETTABLE = """
select seq, id, type, status
from jobs
where status = ? and finished_at < ?
  and not exists (select 1 from deliveries d where d.job = jobs.seq and d.state = 'pending')
  and not exists (select 1 from cache c where c.job_id = jobs.id and c.expires_at > ?)
order by finished_at
limit ?"""
TALLY = f"{', '.join(COUNTERS)}, queued, running, waits, runs"
OLD_MINUTES = f"select at, type, {TALLY} from series where step = 60 and at < ? order by at, type"
HOURS = f"select at, type, {TALLY} from series where step = 3600 and at between ? and ? order by at, type"
INSERT_HOUR = f"insert or replace into series values (3600, ?, ?, {', '.join('?' * (len(COUNTERS) + 4))})"
DELETE_MINUTE = "delete from series where step = 60 and at = ? and type = ?"
AGE = """
update jobs
set rank = rank - 1
where seq in (
  select seq from (
    select seq, priority, rank, ready_at
    from jobs
    where status = 'queued' and delayed = 0 and suspicion is null and type = ? and rank = ?
    order by seq
    limit ?)
  where ready_at <= ? - (priority - rank + 1) * ?)"""


def prune(tx: Transaction, what: Prune) -> list[JobId]:
    """Delete a slice of what may go; foreign keys take events, steps and deliveries along."""
    tx.flush()  # the log has to be whole when its end is looked at
    gone: list[tuple[int, str, str, str]] = []
    for status in ("completed", "partial", "cancelled", "failed"):
        before = what.failed_before if status == "failed" else what.before
        values = (status, micros(before), micros(what.now), what.limit - len(gone))
        gone += tx.execute(FORGETTABLE, values).fetchall()
    if gone:
        seqs = [(seq,) for seq, _, _, _ in gone]
        marks = ", ".join(str(seq) for seq, _, _, _ in gone)
        [floor] = tx.execute(f"select coalesce(max(seq), 0) from events where job in ({marks})").fetchone()
        tx.execute("update meta set value = max(cast(value as integer), ?) where key = 'events_floor'", (floor,))
        tx.executemany("delete from jobs where seq = ?", seqs)
        for _, _, type, status in gone:
            tx.count(type, STATUSES[status], -1)
    _roll(tx, what.now)
    for table in ("cache", "idempotency"):
        key = f"select key from {table} where expires_at <= ? order by expires_at limit ?"
        tx.execute(f"delete from {table} where key in ({key})", (micros(what.now), what.limit))
    access.forget_old(tx, what.now, what.limit)
    give_back(tx, PAGES_GIVEN_BACK)
    return [id for _, id, _, _ in gone]


def _roll(tx: Transaction, now: datetime) -> None:
    """Make hours of the minutes that are too old, whole hours of them, and forget the oldest hours."""
    before = micros(begins(now - MINUTES_KEPT, HOUR))
    minutes = [_series_row(row) for row in tx.execute(f"{OLD_MINUTES} limit 2000", (before,))]
    if minutes:
        first, last = micros(begins(minutes[0].at, HOUR)), micros(minutes[-1].at)
        hours = [_series_row(row) for row in tx.execute(HOURS, (first, last))]
        rows = [(micros(row.at), row.type, *row.values) for row in rolled(hours, minutes)]
        tx.executemany(INSERT_HOUR, rows)
        tx.executemany(DELETE_MINUTE, [(micros(row.at), row.type) for row in minutes])
        tx.known.tallies.clear()
    tx.execute("delete from series where step = 3600 and at < ?", (micros(now - HOURS_KEPT),))


def _series_row(row: Sequence[Any]) -> SeriesRow:
    return SeriesRow(moment(row[0]), row[1], tuple(row[2:]))


def give_back(tx: Transaction, pages: int) -> None:
    """Cut up to so many free pages off the end of the file."""
    [free] = tx.execute("pragma freelist_count").fetchone()
    for _ in range(min(free, pages)):
        tx.execute("pragma incremental_vacuum(1)")  # the module takes one step of it a call, and a step is a page


def age(tx: Transaction, now: datetime, step: timedelta, limit: int) -> int:
    """Raise the rank of the longest waiting jobs of each type and rank, at most `limit` in all."""
    tx.flush()
    raised = 0
    for (type,) in tx.execute("select type from counts where status = 'queued' and n > 0").fetchall():
        for rank in range(1, 5):
            raised += tx.execute(AGE, (type, rank, limit - raised, micros(now), step // MICROSECOND)).rowcount
    return raised


def shift(tx: Transaction, delta: timedelta) -> None:
    """Move leases and retry waits along with the clock."""
    by = delta // MICROSECOND
    tx.flush()
    tx.execute("update jobs set lease_until = lease_until + ? where status = 'running'", (by,))
    tx.execute(
        """
update jobs
set ready_at = ready_at + ?, run_at = run_at + ?
where status = 'queued' and delayed = 1 and (attempt > 1 or interruptions > 0)""",
        (by, by),
    )
