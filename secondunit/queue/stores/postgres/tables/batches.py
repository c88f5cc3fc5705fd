"""Batch table: jobs that were submitted together, and the delivery that is written with the end of the last of them."""

from datetime import datetime

from secondunit.queue.graph import batch_end
from secondunit.queue.model import Batch, Job
from secondunit.queue.stores.port_rows import BATCH_COLUMNS, batch_from, batch_values, standing
from secondunit.queue.stores.postgres.tables import outbox
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.queue.stores.rows import micros
from secondunit.queue.value import replace

LOCK = "select 1 from batches where id = %s for update"
SELECT = f"select {BATCH_COLUMNS} from batches where id = %s"
FIRST = "select first from batches where id = %s"
INSERT = f"insert into batches (first, last, {BATCH_COLUMNS}) values ({', '.join(['%s'] * 10)})"
FINISH = "update batches set finished_at = %s where id = %s"
LEFT = """
select count(*)
from batches b
join jobs on jobs.seq between b.first and b.last
where b.id = %s and jobs.finished_at is null"""
STANDING = """
select jobs.status, count(*)
from batches b
join jobs on jobs.seq between b.first and b.last
where b.id = %s
group by jobs.status"""
FORGET = """
delete from batches
where id in (
  select id
  from batches b
  where finished_at < %s and not exists (select 1 from jobs where seq between b.first and b.last)
  order by finished_at
  limit %s)"""


def add(tx: PostgresTransaction, batch: Batch, first: int, jobs: int) -> None:
    """Store a batch of so many jobs, which are being stored under the numbers from `first` on."""
    tx.send(INSERT, (first, first + jobs - 1, *batch_values(replace(batch, total=jobs))))


def moved(tx: PostgresTransaction, job: Job, batch_id: str) -> None:
    """A job of the batch has ended, or is back."""
    [_, [[left]]] = tx.ask([(LOCK, (batch_id,)), (LEFT, (batch_id,))])  # two last ones don't overlook each other
    if not job.status.ended:
        tx.send(f"{FINISH} and finished_at is not null", (None, batch_id))
    elif left == 0 and job.finished_at:
        _finish(tx, job, batch_id, job.finished_at)


def newest(*, owned: bool) -> str:
    """The statement that lists batches before a number, the newest first; if `owned`, those of one owner."""
    return f"""
select {BATCH_COLUMNS}
from batches
where {"owner = %s and " if owned else ""}first < %s
order by first desc
limit %s"""


def forget(tx: PostgresTransaction, before: datetime, limit: int) -> None:
    """Forget batches of which no job is left."""
    tx.send(FORGET, (micros(before), limit))


def _finish(tx: PostgresTransaction, last: Job, batch_id: str, now: datetime) -> None:
    rows = tx.execute(SELECT, (batch_id,))
    if not rows:
        return
    tx.send(FINISH, (micros(now), batch_id))
    batch = batch_from(rows[0])
    if batch.target:
        notice = batch_end.notice(batch, last, standing(tx.execute(STANDING, (batch_id,))), now)
        if notice:
            outbox.add(tx, last.seq, batch.id, notice)
