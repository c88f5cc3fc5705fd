"""Graph port of the PostgreSQL store: reads of dependencies and batches."""

from collections.abc import Mapping, Sequence

from secondunit.queue.errors import BatchNotFound
from secondunit.queue.model import Batch, BatchId, Job, JobId, Status
from secondunit.queue.stores.port_rows import batch_from, standing
from secondunit.queue.stores.postgres.readers import PostgresReaders
from secondunit.queue.stores.postgres.tables import batches
from secondunit.queue.stores.rows import JOB_COLUMNS, job_from

PARENTS = f"""
select {JOB_COLUMNS}
from jobs
left join leases on leases.job = jobs.seq
where seq in (select parent from parents where child = (select seq from jobs where id = %s))
order by seq"""
CHILDREN = """
select child.id
from jobs job
join parents p on p.parent = job.seq
join jobs child on child.seq = p.child
where job.id = %s
order by child.seq
limit %s"""
FAR = 2**62


class PostgresGraph:
    """The Graph port."""

    def __init__(self, readers: PostgresReaders) -> None:
        self._readers = readers

    async def parents(self, job_id: JobId) -> Sequence[Job]:
        return [job_from(row) for row in await self._readers.fetch(PARENTS, (job_id,))]

    async def children(self, job_id: JobId, limit: int) -> Sequence[JobId]:
        return [id for (id,) in await self._readers.fetch(CHILDREN, (job_id, limit))]

    async def batch(self, batch_id: BatchId) -> Batch:
        rows = await self._readers.fetch(batches.SELECT, (batch_id,))
        if not rows:
            raise BatchNotFound(batch_id)
        return batch_from(rows[0])

    async def batches(self, owner: str | None, after: BatchId | None, limit: int) -> Sequence[Batch]:
        before = await self._readers.fetch(batches.FIRST, (after,)) if after is not None else [(FAR,)]
        if not before:
            return []
        of_owner = () if owner is None else (owner,)
        rows = await self._readers.fetch(batches.newest(owned=bool(of_owner)), (*of_owner, before[0][0], limit))
        return [batch_from(row) for row in rows]

    async def standing(self, batch_id: BatchId) -> Mapping[Status, int]:
        return standing(await self._readers.fetch(batches.STANDING, (batch_id,)))
