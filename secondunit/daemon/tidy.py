"""At start, when nothing runs yet: clearing away what the runs of a daemon that died have left."""

from secondunit.handlers.tools.workspace import WorkFolders
from secondunit.queue.model import Filter, JobId
from secondunit.queue.store import Store

AT_ONCE = 500


async def tidy(store: Store, work: WorkFolders) -> None:
    """Drop the folders of runs, what was kept for jobs that ended, and all of jobs that nobody knows any more."""
    present = await work.present()
    live: set[JobId] = set()
    known: set[JobId] = set()
    for start in range(0, len(present), AT_ONCE):
        page = await store.find(Filter(ids=present[start : start + AT_ONCE]), None, AT_ONCE)
        known.update(job.id for job in page.jobs)
        live.update(job.id for job in page.jobs if not job.status.ended)
    await work.forget(set(present) - known)
    await work.sweep(live)
