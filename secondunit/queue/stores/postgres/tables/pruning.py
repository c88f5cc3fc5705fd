"""Pruning statements: forgetting what outlived its time, aging what waits, following a clock that was set."""

from datetime import datetime, timedelta
from itertools import product

from secondunit.queue.model import JobId
from secondunit.queue.ports.pruning import Prune
from secondunit.queue.stores.postgres.tables import access, batches
from secondunit.queue.stores.postgres.tables.shared import boxes, time_series
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.queue.stores.rows import MICROSECOND, STATUSES, micros

FORGETTABLE = """
select seq, id, type, status
from jobs
where status = %s and finished_at < %s
  and not exists (select 1 from deliveries d where d.job = jobs.seq and d.state = 'pending')
  and not exists (select 1 from cache c where c.job_id = jobs.id and c.expires_at > %s)
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
limit %s
for update of jobs skip locked"""
LAST_EVENT = "select coalesce(max(seq), 0) from events where job = any(%s)"
FLOOR = "update numbers set events_floor = greatest(events_floor, %s)"
AGE = """
update jobs
set rank = rank - 1
where seq in (
  select seq from (
    select seq, priority, rank, ready_at
    from jobs
    where status = 'queued' and delayed = 0 and suspicion is null and waiting_for is null and {}
      and type = %s and rank = %s
    order by seq
    limit %s
    for update skip locked) longest
  where ready_at <= %s::bigint - (priority - rank + 1) * %s::bigint)
returning 1"""
AGES = AGE.format("box is null"), AGE.format("box is not null")


def prune(tx: PostgresTransaction, what: Prune) -> list[JobId]:
    """Delete a slice of what may go; foreign keys take what hangs on them along."""
    gone: list[tuple[int, str, str, str]] = []
    for status in ("completed", "partial", "cancelled", "failed"):
        before = what.failed_before if status == "failed" else what.before
        values = (status, micros(before), micros(what.now), what.limit - len(gone))
        gone += tx.execute(FORGETTABLE, values)
    time_series.count_all(tx)  # those of their events too, to which nobody adds any now
    if gone:
        seqs = [seq for seq, _, _, _ in gone]
        tx.send_last(FLOOR, tx.execute(LAST_EVENT, (seqs,))[0])
        tx.send("delete from jobs where seq = any(%s)", (seqs,))
        for _, _, type, status in gone:
            tx.count(type, STATUSES[status], -1)
    time_series.shorten(tx, what.now)
    for table in ("cache", "idempotency"):
        key = f"select key from {table} where expires_at <= %s order by expires_at limit %s"
        tx.send(f"delete from {table} where key in ({key})", (micros(what.now), what.limit))
    access.forget_old(tx, what.now, what.limit)
    boxes.forget(tx, what)
    batches.forget(tx, min(what.before, what.failed_before), what.limit)
    return [id for _, id, _, _ in gone]


def age(tx: PostgresTransaction, now: datetime, step: timedelta, limit: int) -> int:
    """Raise the rank of the longest waiting jobs of each type and rank, at most `limit` in all."""
    raised = 0
    for (type,) in tx.execute("select type from counts where status = 'queued' and n > 0"):
        for rank, text in product(range(1, 5), AGES):
            raised += len(tx.write(text, (type, rank, limit - raised, micros(now), step // MICROSECOND)))
    return raised


def shift(tx: PostgresTransaction, delta: timedelta) -> None:
    """Move leases and retry waits along with the clock."""
    by = delta // MICROSECOND
    tx.send("update leases set lease_until = lease_until + %s", (by,))
    tx.send(
        """
update jobs
set ready_at = ready_at + %s, run_at = run_at + %s
where status = 'queued' and delayed = 1 and waiting_for is null and (attempt > 1 or interruptions > 0)""",
        (by, by),
    )
