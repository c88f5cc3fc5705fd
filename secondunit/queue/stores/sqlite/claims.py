"""Claims: the next jobs that are ready, of each type as many as it has room for, found by the index of the line."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate

from secondunit.queue import state
from secondunit.queue.model import Job, Status
from secondunit.queue.stores.rows import micros
from secondunit.queue.stores.sqlite.tables import jobs
from secondunit.queue.stores.sqlite.transaction import NEVER, Transaction

PROMOTE_AT_ONCE = 500
PROMOTE = f"""
update jobs
set delayed = 0
where seq in (
  select seq
  from jobs
  where status = 'queued' and delayed = 1 and waiting_for is null and ready_at <= ?
  order by ready_at
  limit {PROMOTE_AT_ONCE})"""
FIRST_DELAYED = "select min(ready_at) from jobs where status = 'queued' and delayed = 1 and waiting_for is null"
READY = """
select rank, seq
from jobs
where status = 'queued' and delayed = 0 and suspicion is null and waiting_for is null and type = ?
order by rank, seq
limit ?"""
# What a run of each is given: the payload, and what its steps and parents have made; octet_length() is SQLite 3.43's.
LOADS = """
select seq, length(cast(payload as blob))
  + coalesce((select sum(length(cast(result as blob))) from steps where steps.job = jobs.seq), 0)
  + coalesce((
    select sum(length(cast(up.result as blob)))
    from parents
    join jobs up on up.seq = parents.parent
    where parents.child = jobs.seq), 0)
from jobs
where seq in (select value from json_each(?))"""
READY_HERE = READY.replace("type = ?", "type = ? and (box is null or box = ?)")


def claim(
    tx: Transaction,
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
    promote(tx, now)
    if limit < 1:
        return []
    room = state.within(room, overall, lambda type: tx.stand(type, Status.RUNNING)) if overall else room
    heads: list[tuple[int, int]] = []
    for type, n in room.items():
        if n > 0 and (waiting := tx.stand(type, Status.QUEUED)):
            heads += _first(tx, type, min(n, limit), waiting, box)
    heads.sort()
    seqs = [seq for _, seq in heads[:limit]]
    if most_bytes is not None and len(seqs) > 1:
        seqs = _fitting(tx, seqs, most_bytes)
    return [jobs.write(tx, job, state.start(job, boot, ttl, now)) for job in jobs.numbered(tx, seqs)]


def _fitting(tx: Transaction, seqs: Sequence[int], most: int) -> list[int]:
    """The first of them, as many as have so many bytes together."""
    loads = dict(tx.execute(LOADS, (json.dumps(seqs),)).fetchall())
    sums = accumulate(loads[seq] for seq in seqs)
    return [seq for nth, (seq, size) in enumerate(zip(seqs, sums, strict=True)) if not nth or size <= most]


def _first(tx: Transaction, type: str, n: int, waiting: int, box: str | None) -> Sequence[tuple[int, int]]:
    """Rank and number of the next jobs of a type; of those that came in this transaction alone, without a look."""
    fresh = [job for job, _, _ in tx.fresh.values() if job.type == type and job.status is Status.QUEUED]
    if len(fresh) == waiting:
        mine = [job for job in fresh if job.run_at is None and (box is None or job.box in (None, box))]
        return sorted((job.priority, job.seq) for job in mine)[:n]
    return tx.execute(*((READY, (type, n)) if box is None else (READY_HERE, (type, box, n)))).fetchall()


def promote(tx: Transaction, now: datetime) -> None:
    """Make waiting jobs ready whose time has come."""
    at = micros(now)
    if at < tx.known.due:
        return
    while tx.execute(PROMOTE, (at,)).rowcount == PROMOTE_AT_ONCE:
        pass
    [first] = tx.execute(FIRST_DELAYED).fetchone()
    tx.known.due = NEVER if first is None else first
