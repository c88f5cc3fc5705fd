"""Step table: every write carries the lease, and one that no longer holds changes nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from secondunit.queue.durable_files import Marks
from secondunit.queue.errors import LeaseLost
from secondunit.queue.model import Job, JobId, Lease
from secondunit.queue.store import Decide, Step
from secondunit.queue.stores.postgres.readers import PostgresReaders
from secondunit.queue.stores.postgres.tables import jobs
from secondunit.queue.stores.postgres.transaction import Ahead, PostgresTransaction
from secondunit.queue.stores.postgres.writer import PostgresWriter
from secondunit.queue.stores.rows import STEP_COLUMNS, dump_or_none, micros, step_from

SELECT = f"""
select {STEP_COLUMNS}
from steps
where job = (select seq from jobs where id = %s)"""


class PostgresSteps:
    """The Steps port; see `secondunit.queue.store.Steps`."""

    def __init__(self, writer: PostgresWriter, readers: PostgresReaders) -> None:
        self._writer = writer
        self._readers = readers

    async def get(self, job_id: JobId, name: str) -> Step | None:
        rows = await self._readers.fetch(f"{SELECT} and name = %s", (job_id, name))
        return step_from((*rows[0], job_id)) if rows else None

    async def of_job(self, job_id: JobId) -> Sequence[Step]:
        return [
            step_from((*row, job_id)) for row in await self._readers.fetch(f"{SELECT} order by at, name", (job_id,))
        ]

    async def intend(self, lease: Lease, name: str, now: datetime) -> Step:
        sql = f"""
insert into steps (job, name, done, result, sends, at)
values (%s, %s, 0, null, 1, %s)
on conflict (job, name) do update
set sends = steps.sends + 1, done = 0, result = null, files = null, at = excluded.at
returning {STEP_COLUMNS}"""

        def work(tx: PostgresTransaction) -> Any:
            return tx.write(sql, (_held(tx, lease).seq, name, micros(now)))[0]

        step = step_from((*await self._writer.run(work, Ahead((lease.job_id,))), lease.job_id))
        self._writer.sends.note(step)
        return step

    async def finish(
        self, lease: Lease, name: str, result: Any, decide: Decide, now: datetime, *, files: Marks | None = None
    ) -> Job:
        sql = """
insert into steps (job, name, done, result, sends, at, files)
values (%s, %s, 1, %s, 0, %s, %s)
on conflict (job, name) do update
set done = 1, result = excluded.result, at = excluded.at, files = excluded.files"""

        def work(tx: PostgresTransaction) -> Job:
            job = _held(tx, lease)
            tx.send(sql, (job.seq, name, dump_or_none(result), micros(now), dump_or_none(files)))
            return jobs.write(tx, job, decide(job))

        return await self._writer.run(work, Ahead((lease.job_id,)))

    async def forget(self, lease: Lease, name: str) -> None:
        sql = "update steps set sends = sends - 1 where job = %s and name = %s and done = 0 and sends > 0"
        await self._writer.run(lambda tx: tx.send(sql, (_held(tx, lease).seq, name)), Ahead((lease.job_id,)))
        self._writer.sends.withdraw(lease.job_id, name)


def _held(tx: PostgresTransaction, lease: Lease) -> Job:
    job = jobs.get(tx, lease.job_id)
    if not jobs.holds(lease, job):
        raise LeaseLost(lease.job_id, lease.epoch)
    return job
