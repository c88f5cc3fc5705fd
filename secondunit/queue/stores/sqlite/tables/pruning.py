"""Pruning statements: forgetting what outlived its time, aging what waits, following a clock that was set."""

from datetime import datetime, timedelta

from secondunit.queue.model import JobId
from secondunit.queue.ports.pruning import Prune
from secondunit.queue.stores.rows import MICROSECOND, STATUSES, micros
from secondunit.queue.stores.sqlite import time_series
from secondunit.queue.stores.sqlite.tables import access, batches
from secondunit.queue.stores.sqlite.tables.shared import boxes
from secondunit.queue.stores.sqlite.transaction import Transaction

PAGES_GIVEN_BACK = 2000  # more than a slice of 500 jobs frees, so that the file follows
FORGETTABLE = """
select seq, id, type, status
from jobs
where status = ? and finished_at < ?
  and not exists (select 1 from deliveries d where d.job = jobs.seq and d.state = 'pending')
  and not exists (select 1 from cache c where c.job_id = jobs.id and c.expires_at > ?)
  and (followed is null or not exists (
    select 1
    from parents p
    join jobs child on child.seq = p.child
    where p.parent = jobs.seq and child.finished_at is null))
  and (batch is null or not exists (
    select 1
    from batches b
    where b.finished_at is null and jobs.seq between b.first and b.last))
order by finished_at
limit ?"""
AGE = """
update jobs
set rank = rank - 1
where seq in (
  select seq from (
    select seq, priority, rank, ready_at
    from jobs
    where status = 'queued' and delayed = 0 and suspicion is null and waiting_for is null and type = ? and rank = ?
    order by seq
    limit ?)
  where ready_at <= ? - (priority - rank + 1) * ?)"""


def prune(tx: Transaction, what: Prune) -> list[JobId]:
    """Delete a slice of what may go; foreign keys take events, steps and deliveries along."""
    tx.count_moves()  # of events that go; and the log has to be whole when its end is looked at
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
    time_series.shorten(tx, what.now)
    for table in ("cache", "idempotency"):
        key = f"select key from {table} where expires_at <= ? order by expires_at limit ?"
        tx.execute(f"delete from {table} where key in ({key})", (micros(what.now), what.limit))
    access.forget_old(tx, what.now, what.limit)
    boxes.forget(tx, what)
    batches.forget(tx, min(what.before, what.failed_before), what.limit)
    give_back(tx, PAGES_GIVEN_BACK)
    return [id for _, id, _, _ in gone]


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
where status = 'queued' and delayed = 1 and waiting_for is null and (attempt > 1 or interruptions > 0)""",
        (by, by),
    )
