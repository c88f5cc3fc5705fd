"""Factory of the deployment tools: projects, git, and their sight of newer deploys in the queue."""

from collections.abc import Mapping

from secondunit.daemon.config.loader import BadConfig
from secondunit.daemon.config.settings import Settings
from secondunit.handlers.tools.deployment.accounts import Account, AccountRefused, account_of
from secondunit.handlers.tools.deployment.deployments import Deployments
from secondunit.handlers.tools.deployment.git import Git
from secondunit.handlers.tools.deployment.projects import Projects
from secondunit.handlers.tools.network.proxy import Egress
from secondunit.handlers.tools.programs.ports import Programs
from secondunit.queue.follow import each
from secondunit.queue.model import Filter, Job, Status
from secondunit.queue.store import Store

LIVE = (Status.QUEUED, Status.RUNNING)


def deployments_of(settings: Settings, programs: Programs, egress: Egress, store: Store) -> Deployments:
    """What the job type works with."""
    git = Git(programs, egress, settings.data_dir / "repositories", settings.max_download_mb << 20)
    return Deployments(settings.deploy, git, QueuedDeploys(store), accounts_of(settings.deploy))


def accounts_of(projects: Projects) -> Mapping[str, Account]:
    """The accounts that projects are built under; BadConfig if there is one that can't be."""
    found, faults = {}, []
    for id, project in projects.items():
        if project.user:
            try:
                found[id] = account_of(project.user)
            except AccountRefused as refusal:
                faults.append(f"deploy.{id}.user: {refusal}")
    if faults:
        raise BadConfig(faults)
    return found


class QueuedDeploys:
    """The live jobs in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def newer(self, job_id: str, field: str) -> str | None:
        """The last job like this one that was submitted after it, and does not wait for a time of its own."""
        mine = await self._store.get(job_id)
        async for job in each(self._store, Filter(statuses=LIVE, types=(mine.type,))):
            if job.seq <= mine.seq:
                break
            if job.payload.get(field) == mine.payload.get(field) and not _for_later(job):
                return job.id
        return None


def _for_later(job: Job) -> bool:
    """Whether its submitter asked for a time; one that waits for its next attempt had its first already."""
    return job.run_at is not None and not job.runs
