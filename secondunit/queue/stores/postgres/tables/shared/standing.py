"""Jobs that stand for others: by an idempotency key, of a request that comes again; by a dedupe key, of the same work.

Two daemons may look at once and find nothing; then the second to store a key, or the work, fails, and looks again.
"""

from collections.abc import Mapping, Sequence

from secondunit.queue.errors import KeyReused
from secondunit.queue.model import Job, JobId
from secondunit.queue.stores.port_rows import key_values
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.queue.stores.rows import JOB_COLUMNS, job_from, micros

ROWS = f"select {JOB_COLUMNS} from jobs left join leases on leases.job = jobs.seq"
SELECT_IDS = f"{ROWS} where id = any(%s)"
SELECT_TWIN = f"{ROWS} where dedupe_key = any(%s) and status in ('queued', 'running')"
# A key outlives its job only as a row: one whose job was forgotten stands for nothing.
SELECT_KEY = """
select key.job_id, key.digest
from idempotency key
join jobs on jobs.id = key.job_id
where key.key = %s and key.expires_at > %s"""
SELECT_KEYS = """
select key.key, key.job_id, key.digest, case when jobs.id is null then 0 else key.expires_at end
from idempotency key
left join jobs on jobs.id = key.job_id
where key.key = any(%s)"""
# Fails by a division by zero if a key is of another job by now than when it was looked for.
INSERT_KEYS = """
with kept as (
  insert into idempotency (key, job_id, digest, expires_at)
  select k.key, k.job_id, k.digest, k.expires_at
  from unnest(%s::text[], %s::text[], %s::bytea[], %s::bigint[]) k (key, job_id, digest, expires_at)
  order by k.key
  on conflict (key) do update
  set job_id = excluded.job_id, digest = excluded.digest, expires_at = excluded.expires_at
  where idempotency.job_id = (
    select seen.job_id
    from unnest(%s::text[], %s::text[]) seen (key, job_id)
    where seen.key = excluded.key)
  returning 1)
select 1 / (count(*) = %s)::int from kept"""


class Standing:
    """Of jobs that are to be added: which ones are new, and `instead` of which another one stands."""

    def __init__(self, tx: PostgresTransaction, jobs: Sequence[Job]) -> None:
        keys = [job.idempotency.key for job in jobs if job.idempotency]
        works = [job.dedupe_key for job in jobs if job.dedupe_key]
        if tx.exact and (keys or works):
            tx.hold()
        rows = tx.execute(SELECT_KEYS, (keys,)) if keys else []
        ids = [id for _, id, _, until in rows if until]
        found = {job.id: job for job in map(job_from, tx.execute(SELECT_IDS, (ids,)) if ids else [])}
        twins = map(job_from, tx.execute(SELECT_TWIN, (works,)) if works else [])
        self.instead: dict[JobId, Job] = {}
        self.keys: dict[str, Job] = {}
        self._keys = {key: (found[id], bytes(digest), until) for key, id, digest, until in rows if id in found}
        self._twins = {twin.dedupe_key: twin for twin in twins}
        tx.seen.update({key: id for key, id, _, _ in rows})

    def new(self, job: Job) -> bool:
        """Whether nothing stands for this one; from now on it stands for those that come after it."""
        standing = self._by_key(job) or self._twins.get(job.dedupe_key)
        if standing:
            self.instead[job.id] = standing
            return False
        if job.idempotency:
            self.keys[job.idempotency.key] = job
        if job.dedupe_key:
            self._twins[job.dedupe_key] = job
        return True

    def _by_key(self, job: Job) -> Job | None:
        if job.idempotency is None:
            return None
        key, digest = job.idempotency.key, job.idempotency.digest
        made = self.keys.get(key)
        if made and made.idempotency:
            standing, of, until = made, made.idempotency.digest, None
        elif key in self._keys:
            standing, of, until = self._keys[key]
        else:
            return None
        if until is not None and until <= micros(job.created_at):
            return None
        if of != digest:
            raise KeyReused(key, standing.id)
        return standing


def has_twin(tx: PostgresTransaction, job: Job) -> bool:
    """Whether a live job does the same work."""
    return job.dedupe_key is not None and bool(tx.execute(SELECT_TWIN, ([job.dedupe_key],)))


def keep_keys(tx: PostgresTransaction, keys: Mapping[str, Job]) -> None:
    """Store the keys of new jobs."""
    rows = [key_values(job, job.idempotency) for job in keys.values() if job.idempotency]
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        seen = list(keys), [tx.seen.get(key) for key in keys]
        tx.send(INSERT_KEYS, (*columns, *seen, len(rows)))
