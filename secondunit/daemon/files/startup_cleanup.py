"""Cleanup of folders: at start, when nothing runs here yet, of what dead runs left; later of what others forgot."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from secondunit.handlers.tools.storage.staging import staged_leases, sweep_staging
from secondunit.handlers.tools.storage.workspace import WorkFolders
from secondunit.queue.clock import Clock
from secondunit.queue.follow import first
from secondunit.queue.model import Filter, Job, JobId
from secondunit.queue.store import Store

AT_ONCE, EVERY = 500, 3600.0


async def tidy(store: Store, work: WorkFolders, roots: Sequence[Path]) -> None:
    """Drop the folders of runs, what was kept for ended jobs, all of forgotten ones, and outputs never published."""
    await work.sweep([job.id for job in await forget_gone(store, work) if not job.status.ended])
    staged = await asyncio.to_thread(staged_leases, roots)
    known = {job.id: job for job in await _jobs(store, sorted({_job_of(lease) for lease in staged}))}
    # Roots may be shared with another box, of this queue or not: there it may be in the making.
    elsewhere = {f"{job.id}-{job.epoch}" for job in known.values() if job.lease}
    spared = [lease for lease in staged if _job_of(lease) not in known or lease in elsewhere]
    await asyncio.to_thread(sweep_staging, roots, spared)


async def forget_gone(store: Store, work: WorkFolders) -> Sequence[Job]:
    """Drop the folders of jobs that the store knows no more; those of the others."""
    present = await work.present()
    jobs = await _jobs(store, present)
    await work.forget(set(present) - {job.id for job in jobs})
    return jobs


async def forget_pruned_elsewhere(store: Store, work: WorkFolders, clock: Clock) -> None:
    """Every hour drop the folders of jobs that another daemon of the queue has pruned: for ever."""
    while True:
        await clock.sleep(EVERY)
        await forget_gone(store, work)


async def _jobs(store: Store, ids: Sequence[JobId]) -> Sequence[Job]:
    jobs: list[Job] = []
    for start in range(0, len(ids), AT_ONCE):
        jobs += await first(store, Filter(ids=ids[start : start + AT_ONCE]), AT_ONCE)
    return jobs


def _job_of(lease: str) -> JobId:
    return lease.rpartition("-")[0]
