"""Batch table: jobs that were submitted together, and the delivery that is written with the end of the last of them."""

from datetime import datetime

from secondunit.queue.graph import batch_end
from secondunit.queue.model import Batch, Job
from secondunit.queue.stores.port_rows import BATCH_COLUMNS, batch_from, batch_values, standing
from secondunit.queue.stores.rows import micros
from secondunit.queue.stores.sqlite.tables import outbox
from secondunit.queue.stores.sqlite.transaction import Transaction
from secondunit.queue.value import replace

KNOWN_AT_MOST = 1000
SELECT = f"select {BATCH_COLUMNS} from batches where id = ?"
FIRST = "select first from batches where id = ?"
INSERT = f"insert into batches (first, last, {BATCH_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
FINISH = "update batches set finished_at = ? where id = ?"
LEFT = """
select count(*)
from batches b
join jobs on jobs.seq between b.first and b.last
where b.id = ? and jobs.finished_at is null"""
STANDING = """
select jobs.status, count(*)
from batches b
join jobs on jobs.seq between b.first and b.last
where b.id = ?
group by jobs.status"""
FORGET = """
delete from batches
where id in (
  select id
  from batches b
  where finished_at < ? and not exists (select 1 from jobs where seq between b.first and b.last)
  order by finished_at
  limit ?)"""


def add(tx: Transaction, batch: Batch, first: int, jobs: int) -> None:
    """Store a batch of so many jobs, which are being stored under the numbers from `first` on."""
    tx.execute(INSERT, (first, first + jobs - 1, *batch_values(replace(batch, total=jobs))))
    _know(tx, batch.id, jobs)


def moved(tx: Transaction, job: Job, batch_id: str) -> None:
    """A job of the batch has ended, or is back."""
    left = tx.known.batches.get(batch_id)
    if left is None:
        [left] = tx.execute(LEFT, (batch_id,)).fetchone()
    else:
        left += -1 if job.status.ended else 1
    _know(tx, batch_id, left)
    if not job.status.ended:
        tx.execute(f"{FINISH} and finished_at is not null", (None, batch_id))
    elif left == 0 and job.finished_at:
        _finish(tx, job, batch_id, job.finished_at)


def newest(*, owned: bool) -> str:
    """The statement that lists batches before a number, the newest first; if `owned`, those of one owner."""
    return f"""
select {BATCH_COLUMNS}
from batches
where {"owner = ? and " if owned else ""}first < ?
order by first desc
limit ?"""


def forget(tx: Transaction, before: datetime, limit: int) -> None:
    """Forget batches of which no job is left."""
    tx.execute(FORGET, (micros(before), limit))


def _finish(tx: Transaction, last: Job, batch_id: str, now: datetime) -> None:
    row = tx.execute(SELECT, (batch_id,)).fetchone()
    if row is None:
        return
    tx.execute(FINISH, (micros(now), batch_id))
    batch = batch_from(row)
    if batch.target:
        notice = batch_end.notice(batch, last, standing(tx.execute(STANDING, (batch_id,)).fetchall()), now)
        if notice:
            outbox.add(tx, last.seq, batch.id, notice)


def _know(tx: Transaction, batch_id: str, left: int) -> None:
    if len(tx.known.batches) >= KNOWN_AT_MOST:
        tx.known.batches.clear()
    tx.known.batches[batch_id] = left
