"""Writing jobs, their events and deliveries: the statements that every change goes through."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import compress
from typing import Any

from secondunit.queue import state
from secondunit.queue.errors import JobNotFound, KeyReused, LeaseLost, NotAllowed
from secondunit.queue.model import Change, Event, Idempotency, Job, JobId, Lease, Notice, Status, replace
from secondunit.queue.store import Decide
from secondunit.queue.stores.sqlite.rows import (
    FIXED,
    JOB_COLUMNS,
    MOVING,
    dump_notice,
    fixed_values,
    job_from,
    micros,
    moving_values,
)
from secondunit.queue.stores.sqlite.transaction import Transaction

KEY_LIFE = timedelta(hours=24)
PROMOTE_AT_ONCE = 500

SELECT = f"select {JOB_COLUMNS} from jobs where id = ?"
SELECT_TWIN = f"""
select {JOB_COLUMNS}
from jobs
where dedupe_key = ? and status in ('queued', 'running')"""
# A key outlives its job only as a row: one whose job was forgotten stands for nothing.
SELECT_KEY = """
select key.job_id, key.digest
from idempotency key
join jobs on jobs.id = key.job_id
where key.key = ? and key.expires_at > ?"""
INSERT = f"""
insert into jobs ({JOB_COLUMNS}, rank)
values ({", ".join("?" * (1 + len(FIXED) + len(MOVING) + 1))})"""
INSERT_KEY = "insert or replace into idempotency values (?, ?, ?, ?)"
UPDATE = f"""
update jobs
set {", ".join(f"{column} = ?" for column in MOVING)}, rank = priority
where seq = ? and status = ? and epoch = ?"""
WAITING_STILL = [column not in ("delayed", "ready_at") for column in MOVING]
UPDATE_WAITING = f"""
update jobs
set {", ".join(f"{column} = ?" for column in compress(MOVING, WAITING_STILL))}
where seq = ?"""
INSERT_DELIVERY = """
insert into deliveries (id, job, kind, address, notice, state, attempts, created_at, next_at)
values (?, ?, ?, ?, ?, 'pending', 0, ?, ?)"""
PROMOTE = f"""
update jobs
set delayed = 0
where seq in (
  select seq
  from jobs
  where status = 'queued' and delayed = 1 and ready_at <= ?
  order by ready_at
  limit {PROMOTE_AT_ONCE})"""
READY = """
select * from (
  select rank, seq
  from jobs
  where status = 'queued' and delayed = 0 and type = ?
  order by rank, seq
  limit ?)"""
CLAIM = f"""
update jobs
set status = 'running', epoch = epoch + 1, boot = ?, lease_until = ?, run_at = null, started_at = ?, updated_at = ?,
  progress = 0, phase = null, message = null
where seq in (select seq from (
{{ready}}
  order by rank, seq
  limit ?))
returning {JOB_COLUMNS}, rank"""


def get(tx: Transaction, job_id: JobId) -> Job:
    """The job, or JobNotFound."""
    if (running := tx.running.get(job_id)) is not None:
        return running
    row = tx.execute(SELECT, (job_id,)).fetchone()
    if row is None:
        raise JobNotFound(job_id)
    return job_from(row)


def add(tx: Transaction, changes: Sequence[Change]) -> list[tuple[Job, bool]]:
    """Insert submitted jobs, but none whose key or work is here already; a refusal comes before the first write."""
    answers: list[tuple[Job, bool]] = []
    fresh: list[tuple[Job, Change]] = []
    keys: dict[str, Job] = {}
    works: dict[str, Job] = {}
    seq = tx.number(0)
    for change in changes:
        job = change.job
        if standing := _by_key(tx, job, keys) or _twin(tx, job, works):
            answers.append((standing, False))
            continue
        job = replace(job, seq=seq + len(fresh) + 1)
        answers.append((job, True))
        fresh.append((job, change))
        if job.idempotency:
            keys[job.idempotency.key] = job
        if job.dedupe_key:
            works[job.dedupe_key] = job
    _insert(tx, fresh, keys)
    return answers


def _insert(tx: Transaction, fresh: Sequence[tuple[Job, Change]], keys: Mapping[str, Job]) -> None:
    tx.executemany(INSERT, [(job.seq, *fixed_values(job), *moving_values(job), job.priority) for job, _ in fresh])
    tx.number(len(fresh))
    if keys:
        tx.executemany(INSERT_KEY, [_key_values(job, job.idempotency) for job in keys.values() if job.idempotency])
    for job, change in fresh:
        tx.count(job.type, job.status, 1)
        _tell(tx, job, change.event, change.notice)


def _key_values(job: Job, key: Idempotency) -> tuple[Any, ...]:
    return key.key, job.id, key.digest, micros(job.created_at + KEY_LIFE)


def change(tx: Transaction, job_id: JobId, decide: Decide, lease: Lease | None) -> Job:
    """Load, decide, write; a lease that no longer holds is refused before anything is decided."""
    job = get(tx, job_id)
    if lease and not holds(lease, job):
        raise LeaseLost(job_id, lease.epoch)
    return write(tx, job, decide(job))


def write(tx: Transaction, before: Job, change: Change) -> Job:
    """Write what the move made of a job."""
    job = change.job
    if before.status.ended and not job.status.ended and _twin(tx, job, {}):
        raise NotAllowed(job.id, "a live job does the same work already")
    if before.status is Status.QUEUED is job.status:  # it keeps its place in the line
        tx.execute(UPDATE_WAITING, (*compress(moving_values(job), WAITING_STILL), job.seq))
    elif tx.execute(UPDATE, (*moving_values(job), job.seq, before.status.value, before.epoch)).rowcount != 1:
        raise LeaseLost(job.id, before.epoch)  # the row is not what it was taken for
    _moved(tx, before.status, job)
    _tell(tx, job, change.event, change.notice)
    return job


def note(tx: Transaction, job: Job) -> None:
    """The job's row is as this says: keep it at hand for as long as it runs."""
    if job.status is Status.RUNNING:
        tx.running[job.id] = job
    else:
        tx.running.pop(job.id, None)


def _moved(tx: Transaction, before: Status, job: Job) -> None:
    if before is not job.status:
        tx.count(job.type, before, -1)
        tx.count(job.type, job.status, 1)
    note(tx, job)


def holds(lease: Lease, job: Job) -> bool:
    """Whether this lease is the one that runs the job."""
    return job.lease is not None and (job.lease.epoch, job.lease.boot) == (lease.epoch, lease.boot)


def claim(tx: Transaction, room: Mapping[str, int], limit: int, boot: str, ttl: timedelta, now: datetime) -> list[Job]:
    """Lease the next jobs, as `state.start` spells it out: the one move that also stands in SQL."""
    at, until = micros(now), micros(now + ttl)
    promote(tx, now)
    wanted = [(type, n) for type, n in room.items() if n > 0]
    if not wanted or limit < 1:
        return []
    ranges = [value for pair in wanted for value in pair]
    rows = tx.execute(_claim_of(len(wanted)), (boot, until, at, at, *ranges, limit)).fetchall()
    jobs = [job_from(row[:-1]) for row in sorted(rows, key=lambda row: (row[-1], row[0]))]
    for job in jobs:
        _moved(tx, Status.QUEUED, job)
        _tell(tx, job, state.started(job, now), None)
    return jobs


@lru_cache
def _claim_of(types: int) -> str:
    return CLAIM.format(ready="\nunion all\n".join([READY] * types))


def promote(tx: Transaction, now: datetime) -> None:
    """Make waiting jobs ready whose time has come."""
    while tx.execute(PROMOTE, (micros(now),)).rowcount == PROMOTE_AT_ONCE:
        pass


def _by_key(tx: Transaction, job: Job, fresh: Mapping[str, Job]) -> Job | None:
    """The job that has this one's key, among those just made or in the table."""
    if job.idempotency is None:
        return None
    made = fresh.get(job.idempotency.key)
    if made and made.idempotency:
        known: Any = made.id, made.idempotency.digest
    else:
        known = tx.execute(SELECT_KEY, (job.idempotency.key, micros(job.created_at))).fetchone()
    if known is None:
        return None
    if known[1] != job.idempotency.digest:
        raise KeyReused(job.idempotency.key, known[0])
    return made or get(tx, known[0])


def _twin(tx: Transaction, job: Job, fresh: Mapping[str, Job]) -> Job | None:
    if job.dedupe_key is None:
        return None
    if job.dedupe_key in fresh:
        return fresh[job.dedupe_key]
    row = tx.execute(SELECT_TWIN, (job.dedupe_key,)).fetchone()
    return job_from(row) if row else None


def _tell(tx: Transaction, job: Job, event: Event | None, notice: Notice | None) -> None:
    if event:
        tx.tell(job, event)
    if notice:
        at = micros(notice.at)
        values: tuple[Any, ...] = (job.seq, notice.target.kind, notice.target.address, dump_notice(notice), at, at)
        tx.execute(INSERT_DELIVERY, (_delivery_id(job, notice), *values))


def _delivery_id(job: Job, notice: Notice) -> str:
    tail = base64.b32encode(f"{notice.epoch}.{micros(notice.at)}".encode()).decode().rstrip("=").lower()
    return f"msg_{job.id.removeprefix('job_')}_{tail}"
