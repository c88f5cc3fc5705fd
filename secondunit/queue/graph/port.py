"""Graph port: what a store is asked of jobs that hang together."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from secondunit.queue.model import Batch, BatchId, Job, JobId, Status


class Graph(Protocol):
    """Dependencies and batches, as the store has them."""

    async def parents(self, job_id: JobId) -> Sequence[Job]:
        """The jobs that this one depends on, but those that were forgotten, in the order of their submission."""
        ...

    async def children(self, job_id: JobId, limit: int) -> Sequence[JobId]:
        """The first jobs that depend on this one."""
        ...

    async def batch(self, batch_id: BatchId) -> Batch:
        """The batch, or BatchNotFound."""
        ...

    async def batches(self, owner: str | None, after: BatchId | None, limit: int) -> Sequence[Batch]:
        """Batches, newest first: of one owner or (None) all of them, those that follow on `after` in this order."""
        ...

    async def standing(self, batch_id: BatchId) -> Mapping[Status, int]:
        """How many jobs of the batch stand where."""
        ...
