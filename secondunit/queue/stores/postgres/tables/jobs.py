"""Job table, with leases, events and deliveries: the statements that every change goes through."""

from collections.abc import Mapping, Sequence
from itertools import compress
from operator import ne
from typing import Any

from secondunit.queue import state
from secondunit.queue.errors import JobNotFound, LeaseLost, NotAllowed
from secondunit.queue.model import Batch, Change, Job, JobId, Lease
from secondunit.queue.ports.schedules import ScheduleState, with_jobs
from secondunit.queue.store import Decide
from secondunit.queue.stores import dependencies
from secondunit.queue.stores.columns import names
from secondunit.queue.stores.postgres.tables import batches, graph, outbox, schedules
from secondunit.queue.stores.postgres.tables.shared import standing
from secondunit.queue.stores.postgres.tables.shared.standing import ROWS, SELECT_IDS
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.queue.stores.rows import (
    FIXED,
    MOVING,
    PLACE,
    fixed_values,
    job_from,
    micros,
    moving_values,
)
from secondunit.queue.value import replace

OF_LEASE = {"boot", "lease_until"}
IN_JOBS = [name not in OF_LEASE for name in names(MOVING)]
MOVING_COLUMNS = [*compress(names(MOVING), IN_JOBS)]
STAYS = len(MOVING_COLUMNS) - len(PLACE)  # so far a job that waits on keeps its place in the line
PAYLOAD = names(FIXED).index("payload")
INSERTED = ["seq", *names(FIXED), *MOVING_COLUMNS, "rank"]

SELECT = f"{ROWS} where id = %s"
SELECT_NUMBERS = f"{ROWS} where seq = any(%s)"
# Two statements: one that waits for a lock sees that row as it is then, but what is joined to it as it was before.
LOCK = "select 1 from jobs where id = %s for update"
LOCK_PARENTS = "select 1 from jobs where id = any(%s) order by seq for update"
LOCK_NUMBERS = "select 1 from jobs where seq = any(%s) order by seq for update"
UPDATE_PAYLOAD = "update jobs set payload = %s where seq = %s"


def get(tx: PostgresTransaction, job_id: JobId) -> Job:
    """The job, or JobNotFound; nobody else moves it before the end of this transaction."""
    if job := tx.known.get(job_id):
        return job
    [_, rows] = tx.ask([(LOCK, (job_id,)), (SELECT, (job_id,))])
    if not rows:
        raise JobNotFound(job_id)
    return job_from(rows[0])


def foresee(tx: PostgresTransaction, ids: Sequence[JobId], fresh: int) -> None:
    """Lock and read at once what will be asked for one by one: each time is a way to the server and back."""
    locked = [(LOCK_PARENTS, (list(ids),)), (SELECT_IDS, (list(ids),))] if ids else []
    if locked or fresh:
        tx.known = {job.id: job for job in map(job_from, tx.foresee(locked, fresh))}


def numbered(tx: PostgresTransaction, seqs: Sequence[int]) -> list[Job]:
    """The jobs with these numbers, in their order; nobody else moves them before the end of this transaction."""
    [_, rows] = tx.ask([(LOCK_NUMBERS, (list(seqs),)), (SELECT_NUMBERS, (list(seqs),))])
    jobs = {job.seq: job for job in map(job_from, rows)}
    return [jobs[seq] for seq in seqs if seq in jobs]


def add(
    tx: PostgresTransaction,
    changes: Sequence[Change],
    limits: state.QueueLimits = state.QueueLimits(),
    schedule: ScheduleState | None = None,
    batch: Batch | None = None,
) -> list[tuple[Job, bool]]:
    """Insert submitted jobs, but none whose key or work is here already; a refusal comes before the first write."""
    schedules.judge(tx, schedule)
    if parents := [id for change in changes for id in change.job.depends_on]:
        tx.execute(LOCK_PARENTS, (parents,))
    there = standing.Standing(tx, [change.job for change in changes])
    coming = [change for change in changes if there.new(change.job)]
    _check(tx, limits, [change.job for change in coming])
    seqs = tx.take_seqs(len(coming), together=batch is not None)
    fresh = [(replace(change.job, seq=seq), change) for change, seq in zip(coming, seqs, strict=True)]
    made = {job.id: job for job, _ in fresh}
    instead = {id: made.get(job.id, job) for id, job in there.instead.items()}
    answers = [(made.get(id) or instead[id], id in made) for id in (change.job.id for change in changes)]
    if batch or any(job.bonds for job, _ in fresh):
        stand = {id: job.id for id, job in instead.items()}
        answers = dependencies.store(tx, answers, fresh, there.keys, stand, batch, BY_ROWS)
    else:
        _insert(tx, fresh, there.keys)
    if schedule is not None:
        schedules.put(tx, [with_jobs(schedule, [job.id for job, _ in answers])])
    return answers


def _check(tx: PostgresTransaction, limits: state.QueueLimits, coming: Sequence[Job]) -> None:
    """Refuse what is too much by what there is now, and at the end of the transaction by what there is then."""
    limits.check(coming, tx.queued)
    for owner, most in limits.of(coming):
        tx.bound_queued(most, owner)


def _insert(tx: PostgresTransaction, fresh: Sequence[tuple[Job, Change]], keys: Mapping[str, Job]) -> None:
    for job, change in fresh:
        values = (job.seq, *fixed_values(job), *compress(moving_values(job), IN_JOBS), job.priority)
        tx.insert(job.seq, dict(zip(INSERTED, values, strict=True)))
        if job.lease:
            tx.lease(job.seq, _lease_values(job.seq, job.lease))
        tx.count(job.type, job.status, 1)
        _tell(tx, job, change)
    standing.keep_keys(tx, keys)


def _lease_values(seq: int, lease: Lease) -> tuple[Any, ...]:
    return seq, lease.epoch, lease.boot, micros(lease.until)


def change(
    tx: PostgresTransaction,
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
        _check(tx, limits, [change.job])
    if limits.running:
        limits.check_start(job, change.job, lambda type: tx.running([type])[type])
    return write(tx, job, change)


def write(tx: PostgresTransaction, before: Job, change: Change) -> Job:
    """Write what the move made of a job, whose row is locked."""
    job = change.job
    if before.status.ended and not job.status.ended and standing.has_twin(tx, job):
        raise NotAllowed(job.id, "a live job does the same work already")
    if job.bonds and before.status.ended and not job.status.ended:
        change = replace(change, job=(job := dependencies.rejoined(tx, job, BY_ROWS)))
    _update(tx, before, job)
    if job.payload is not before.payload:
        tx.send(UPDATE_PAYLOAD, (fixed_values(job)[PAYLOAD], job.seq))
    if job.lease and job.lease != before.lease:
        tx.lease(job.seq, _lease_values(job.seq, job.lease))
    elif before.lease and not job.lease:
        tx.lease(job.seq, None)
    if before.status is not job.status:
        tx.count(job.type, before.status, -1)
        tx.count(job.type, job.status, 1)
    _tell(tx, job, change)
    if job.id in tx.known:
        tx.known[job.id] = job
    if (job.batch or job.followed) and before.status.ended is not job.status.ended:
        _spread(tx, job)
    return job


def _spread(tx: PostgresTransaction, job: Job) -> None:
    """The job has ended, or is back: that concerns its batch and those that depend on it."""
    if job.batch:
        batches.moved(tx, job, job.batch)
    if job.followed:
        dependencies.moved(tx, job, BY_ROWS)


def go_on(tx: PostgresTransaction) -> None:
    """Go on with what an earlier transaction left to be told to jobs that depend on others."""
    dependencies.go_on(tx, BY_ROWS)


def _update(tx: PostgresTransaction, before: Job, job: Job) -> None:
    old, new = ([*compress(moving_values(one), IN_JOBS)] for one in (before, job))
    changed = [*map(ne, old, new)]
    placed = (before.waiting_for and not job.waiting_for) or (before.run_at and not job.run_at)
    stays = before.status is job.status and not job.status.ended and not placed
    # One that waits on keeps its place, and of one that runs on no index may change, or its update is no HOT one. How
    # the place of any other was is not known: a claim may have promoted it.
    changed[STAYS:] = [not stays] * len(PLACE)
    if any(changed):
        columns = dict(zip(compress(MOVING_COLUMNS, changed), compress(new, changed), strict=True))
        tx.move(job.seq, columns if stays else columns | {"rank": job.priority})


def holds(lease: Lease, job: Job) -> bool:
    """Whether this lease is the one that runs the job."""
    return job.lease is not None and (job.lease.epoch, job.lease.boot) == (lease.epoch, lease.boot)


def _tell(tx: PostgresTransaction, job: Job, change: Change) -> None:
    if event := change.event:
        tx.tell(job, event)
    if notice := change.notice:
        outbox.add(tx, job.seq, job.id, notice)


BY_ROWS = dependencies.ByRows(get, numbered, _insert, write, batches.add, graph.LINKS)
