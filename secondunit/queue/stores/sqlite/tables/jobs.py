"""Job table, with events and deliveries: the statements that every change goes through."""

from collections.abc import Mapping, Sequence
from typing import Any

from secondunit.queue import state
from secondunit.queue.errors import JobNotFound, KeyReused, LeaseLost, NotAllowed
from secondunit.queue.model import Batch, Change, Job, JobId, Lease, Status
from secondunit.queue.ports.schedules import ScheduleState, with_jobs
from secondunit.queue.store import Decide
from secondunit.queue.stores import dependencies
from secondunit.queue.stores.columns import names
from secondunit.queue.stores.port_rows import key_values
from secondunit.queue.stores.rows import (
    FIXED,
    JOB_COLUMNS,
    MOVING,
    PLACE,
    fixed_values,
    job_from,
    micros,
    moving_values,
)
from secondunit.queue.stores.sqlite.sparse_statements import Update
from secondunit.queue.stores.sqlite.tables import batches, graph, outbox, schedules
from secondunit.queue.stores.sqlite.transaction import Transaction
from secondunit.queue.value import replace

LONGEST_KEPT = 1000
MOST_HELD = 512 * 1024  # characters of payloads that wait to be written together
PAYLOAD = names(FIXED).index("payload")
STAYS = -len(PLACE)  # so far a job that waits on keeps its place in the line

SELECT = f"select {JOB_COLUMNS} from jobs where id = ?"
SELECT_NUMBERS = f"select {JOB_COLUMNS} from jobs where seq in ({{}})"
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
INSERT_KEY = "insert or replace into idempotency values (?, ?, ?, ?)"
UPDATE = Update("jobs", MOVING, "rank = priority where seq = ? and status = ? and epoch = ?")
UPDATE_WAITING = Update("jobs", MOVING[:STAYS], "rank = rank where seq = ?")
UPDATE_PAYLOAD = "update jobs set payload = ? where seq = ?"


def get(tx: Transaction, job_id: JobId) -> Job:
    """The job, or JobNotFound."""
    if (running := tx.known.running.get(job_id)) is not None:
        return running
    row = tx.execute(SELECT, (job_id,)).fetchone()
    if row is None:
        raise JobNotFound(job_id)
    return job_from(row)


def add(
    tx: Transaction,
    changes: Sequence[Change],
    limits: state.QueueLimits = state.QueueLimits(),
    schedule: ScheduleState | None = None,
    batch: Batch | None = None,
) -> list[tuple[Job, bool]]:
    """Insert submitted jobs, but none whose key or work is here already; a refusal comes before the first write."""
    schedules.judge(tx, schedule)
    answers: list[tuple[Job, bool]] = []
    fresh: list[tuple[Job, Change]] = []
    keys: dict[str, Job] = {}
    works: dict[str, Job] = {}
    instead: dict[JobId, JobId] = {}
    seq = tx.number(0)
    for change in changes:
        job = change.job
        if standing := _by_key(tx, job, keys) or _twin(tx, job, works):
            answers.append((standing, False))
            instead[job.id] = standing.id
            continue
        job = replace(job, seq=seq + len(fresh) + 1)
        answers.append((job, True))
        fresh.append((job, change))
        if job.idempotency:
            keys[job.idempotency.key] = job
        if job.dedupe_key:
            works[job.dedupe_key] = job
    limits.check([job for job, _ in fresh], tx.queued)
    if batch or any(job.bonds for job, _ in fresh):
        answers = dependencies.store(tx, answers, fresh, keys, instead, batch, BY_ROWS)
    else:
        _insert(tx, fresh, keys)
    if schedule is not None:
        schedules.put(tx, [with_jobs(schedule, [job.id for job, _ in answers])])
    return answers


def _insert(tx: Transaction, fresh: Sequence[tuple[Job, Change]], keys: Mapping[str, Job]) -> None:
    held = 0
    for job, change in fresh:
        fixed = fixed_values(job)
        tx.insert(job, fixed, moving_values(job))
        held += len(fixed[PAYLOAD])
        if held > MOST_HELD:
            tx.write()
            held = 0
        tx.count(job.type, job.status, 1, job.owner)
        _delayed(tx, job)
        if len(fixed[PAYLOAD]) <= LONGEST_KEPT:
            tx.known.came(job)
        _tell(tx, job, change)
    tx.number(len(fresh))
    if keys:
        tx.executemany(INSERT_KEY, [key_values(job, job.idempotency) for job in keys.values() if job.idempotency])


def change(
    tx: Transaction,
    job_id: JobId,
    decide: Decide,
    lease: Lease | None,
    limits: state.QueueLimits = state.QueueLimits(),
) -> Job:
    """Load, decide, write; a lease that no longer holds is refused before anything is decided."""
    job = get(tx, job_id)
    if lease and not holds(lease, job):
        raise LeaseLost(job_id, lease.epoch)
    change = decide(job)
    if job.status.ended and not change.job.status.ended:
        limits.check([change.job], tx.queued)
    if limits.running:
        limits.check_start(job, change.job, lambda type: tx.stand(type, Status.RUNNING))
    return write(tx, job, change)


def write(tx: Transaction, before: Job, change: Change) -> Job:
    """Write what the move made of a job."""
    job = change.job
    if before.status.ended and not job.status.ended and _twin(tx, job, {}):
        raise NotAllowed(job.id, "a live job does the same work already")
    if job.bonds and before.status.ended and not job.status.ended:
        change = replace(change, job=(job := dependencies.rejoined(tx, job, BY_ROWS)))
    if fresh := tx.fresh.get(before.seq):  # no row of it is written yet
        tx.insert(job, fresh[1] if job.payload is before.payload else fixed_values(job), moving_values(job))
    else:
        _update(tx, before, job)
        if job.payload is not before.payload:
            tx.execute(UPDATE_PAYLOAD, (fixed_values(job)[PAYLOAD], job.seq))
    if before.status is not job.status:
        tx.count(job.type, before.status, -1, job.owner)
        tx.count(job.type, job.status, 1, job.owner)
    _delayed(tx, job)
    tx.known.moved(job)
    _tell(tx, job, change)
    if (job.batch or job.followed) and before.status.ended is not job.status.ended:
        _spread(tx, job)
    return job


def _spread(tx: Transaction, job: Job) -> None:
    """The job has ended, or is back: that concerns its batch and those that depend on it."""
    if job.batch:
        batches.moved(tx, job, job.batch)
    if job.followed:
        dependencies.moved(tx, job, BY_ROWS)


def go_on(tx: Transaction) -> None:
    """Go on with what an earlier transaction left to be told to jobs that depend on others."""
    dependencies.go_on(tx, BY_ROWS)


def _update(tx: Transaction, before: Job, job: Job) -> None:
    placed = (before.waiting_for and not job.waiting_for) or (before.run_at and not job.run_at)
    if before.status is Status.QUEUED is job.status and not placed:
        UPDATE_WAITING(tx.execute, before, job, (job.seq,))  # it keeps its place in the line
    elif UPDATE(tx.execute, before, job, (job.seq, before.status.value, before.epoch)) != 1:
        tx.known.drop(before)
        raise LeaseLost(job.id, before.epoch)


def _delayed(tx: Transaction, job: Job) -> None:
    if job.run_at is not None and job.status is Status.QUEUED:
        tx.known.due = min(tx.known.due, micros(job.run_at))


def holds(lease: Lease, job: Job) -> bool:
    """Whether this lease is the one that runs the job."""
    return job.lease is not None and (job.lease.epoch, job.lease.boot) == (lease.epoch, lease.boot)


def numbered(tx: Transaction, seqs: Sequence[int]) -> list[Job]:
    """The jobs with these numbers, in their order."""
    held = ((seq, tx.fresh[seq][0] if seq in tx.fresh else tx.known.rows.get(seq)) for seq in seqs)
    jobs = {seq: job for seq, job in held if job}
    missing = [seq for seq in seqs if seq not in jobs]
    if missing:
        for row in tx.execute(SELECT_NUMBERS.format(", ".join("?" * len(missing))), missing):
            job = job_from(row)
            jobs[job.seq] = job
    return [jobs[seq] for seq in seqs]


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


def _tell(tx: Transaction, job: Job, change: Change) -> None:
    if event := change.event:
        tx.tell(job, event)
    if notice := change.notice:
        outbox.add(tx, job.seq, job.id, notice)


BY_ROWS = dependencies.ByRows(get, numbered, _insert, write, batches.add, graph.LINKS)
