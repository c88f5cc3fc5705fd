"""In-memory dependencies and batches of the reference store."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from secondunit.queue.errors import BadDependencies, BatchNotFound, Misplaced
from secondunit.queue.graph import batch_end, moves
from secondunit.queue.model import Batch, BatchId, Change, Job, JobId, Notice, Status
from secondunit.queue.value import replace


class MemoryGraph:
    """The Graph port over the store's own jobs; and what the store does with those that hang together."""

    def __init__(self, jobs: Mapping[JobId, Job]) -> None:
        self._jobs = jobs
        self._batches: dict[BatchId, Batch] = {}

    async def parents(self, job_id: JobId) -> Sequence[Job]:
        return self.parents_of(self._jobs[job_id]) if job_id in self._jobs else []

    async def children(self, job_id: JobId, limit: int) -> Sequence[JobId]:
        return [job.id for job in self._jobs.values() if job_id in job.depends_on][:limit]

    async def batch(self, batch_id: BatchId) -> Batch:
        try:
            return self._batches[batch_id]
        except KeyError:
            raise BatchNotFound(batch_id) from None

    async def batches(self, owner: str | None, after: BatchId | None, limit: int) -> Sequence[Batch]:
        newest = list(reversed(self._batches.values()))
        if after is not None:
            place = next((place for place, batch in enumerate(newest) if batch.id == after), len(newest))
            newest = newest[place + 1 :]
        return [batch for batch in newest if owner in (None, batch.owner)][:limit]

    async def standing(self, batch_id: BatchId) -> Mapping[Status, int]:
        return Counter(job.status for job in self._jobs.values() if job.batch == batch_id)

    def bound(self, fresh: Mapping[JobId, Change], instead: Mapping[JobId, JobId]) -> Sequence[Change]:
        """New jobs that wait for their parents and know that they are followed; or BadDependencies."""
        made = {}
        for id, change in fresh.items():
            job = change.job
            if job.bonds and job.bonds.depends_on:
                ids = [instead.get(up, up) for up in job.bonds.depends_on]
                job = moves.bound(replace(job, bonds=replace(job.bonds, depends_on=ids)), self._standing(ids, fresh))
            made[id] = replace(change, job=job)
        followed = {up for change in made.values() for up in change.job.depends_on}
        return [
            replace(change, job=replace(change.job, followed=change.job.followed or id in followed))
            for id, change in made.items()
        ]

    def came(self, changes: Sequence[Change], batch: Batch | None) -> None:
        """These jobs are being stored, as this batch."""
        if batch and changes:
            self._batches[batch.id] = replace(batch, total=len(changes))

    def late(self, changes: Sequence[Change]) -> Iterator[Change]:
        """What is to be done to parents that were there before, and to new jobs whose parents failed before."""
        new = {change.job.id for change in changes}
        for id in dict.fromkeys(up for change in changes for up in change.job.depends_on if up not in new):
            if not self._jobs[id].followed:
                yield Change(replace(self._jobs[id], followed=True))
        for fresh in changes:
            job = self._jobs[fresh.job.id]
            bad = [up for up in self.parents_of(job) if up.status.ended and up.status not in moves.SUCCEEDED]
            if any(up.id not in new for up in bad) and (change := self.told((job.id, job.created_at), {})):
                yield change

    def rejoined(self, before: Job, change: Change) -> Change:
        """The change, of a job that is queued again with what it waits for."""
        if not (before.status.ended and not change.job.status.ended and before.bonds):
            return change
        return replace(change, job=moves.rejoined(change.job, self._standing_of(change.job)))

    def followers(self, job: Job) -> Sequence[tuple[JobId, datetime]]:
        """Whom the job's move concerns, and when it was made."""
        return [(other.id, job.updated_at) for other in self._jobs.values() if job.id in other.depends_on]

    def told(self, follower: tuple[JobId, datetime], twins: Mapping[str, JobId]) -> Change | None:
        """What becomes of a job by what its parents are; nothing if another one does its work by now."""
        job, now = self._jobs[follower[0]], follower[1]
        change = moves.after_parents(job, self._standing_of(job), now)
        back = job.status.ended and not change.job.status.ended
        return None if change.job == job or (back and job.dedupe_key in twins) else change

    def parents_of(self, job: Job) -> Sequence[Job]:
        """What it depends on and is still there, by submission."""
        return sorted((self._jobs[id] for id in job.depends_on if id in self._jobs), key=lambda up: up.seq)

    def batch_notice(self, job: Job) -> Notice | None:
        """What is due because the last job of its batch has ended."""
        if job.batch not in self._batches:
            return None
        batch, mine = self._batches[job.batch], [other for other in self._jobs.values() if other.batch == job.batch]
        over = all(other.status.ended for other in mine)
        self._batches[batch.id] = replace(batch, finished_at=job.finished_at if over else None)
        if not over or job.finished_at is None:
            return None
        return batch_end.notice(batch, job, Counter(other.status for other in mine), job.finished_at)

    def needed(self) -> set[JobId]:
        """The jobs that must be kept for others' sake."""
        live = [job for job in self._jobs.values() if not job.status.ended]
        going = {batch.id for batch in self._batches.values() if batch.finished_at is None}
        return {up for job in live for up in job.depends_on} | {
            job.id for job in self._jobs.values() if job.batch in going
        }

    def drop(self, before: datetime) -> None:
        """Forget batches of which no job is left."""
        kept = {job.batch for job in self._jobs.values()}
        self._batches = {
            batch.id: batch
            for batch in self._batches.values()
            if batch.id in kept or batch.finished_at is None or batch.finished_at >= before
        }

    def _standing_of(self, job: Job) -> Mapping[JobId, Status]:
        return {up.id: up.status for up in self.parents_of(job)}

    def _standing(self, ids: Sequence[JobId], fresh: Mapping[JobId, Change]) -> Mapping[JobId, Status]:
        unknown = [id for id in ids if id not in fresh and id not in self._jobs]
        if unknown:
            raise BadDependencies([Misplaced(0, "dependsOn", f"no job has the id {unknown[0]}")])
        return {id: (fresh[id].job if id in fresh else self._jobs[id]).status for id in ids}
