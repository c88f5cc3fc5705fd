"""Start-up cleanup, when nothing runs yet: what the runs of a daemon that died have left goes."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from secondunit.handlers.tools.storage.staging import staged_leases, sweep_staging
from secondunit.handlers.tools.storage.workspace import WorkFolders
from secondunit.queue.model import Filter, Job, JobId
from secondunit.queue.store import Store

AT_ONCE = 500


async def tidy(store: Store, work: WorkFolders, roots: Sequence[Path]) -> None:
    """Drop the folders of runs, what was kept for ended jobs, all of forgotten ones, and outputs never published."""
    present = await work.present()
    jobs = await _jobs(store, present)
    await work.forget(set(present) - {job.id for job in jobs})
    await work.sweep([job.id for job in jobs if not job.status.ended])
    staged = await asyncio.to_thread(staged_leases, roots)
    ours = {job.id for job in await _jobs(store, sorted({_job_of(lease) for lease in staged}))}
    # Roots may be shared with another box: what jobs unknown here have staged may be in the making there.
    foreign = [lease for lease in staged if _job_of(lease) not in ours]
    await asyncio.to_thread(sweep_staging, roots, foreign)


async def _jobs(store: Store, ids: Sequence[JobId]) -> Sequence[Job]:
    jobs: list[Job] = []
    for start in range(0, len(ids), AT_ONCE):
        jobs += (await store.find(Filter(ids=ids[start : start + AT_ONCE]), None, AT_ONCE)).jobs
    return jobs


def _job_of(lease: str) -> JobId:
    return lease.rpartition("-")[0]
