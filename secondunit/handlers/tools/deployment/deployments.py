"""Deployment service of the job type `deploy`: the operator's projects, git, and one deploy of each at a time."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

from secondunit.handlers.tools.deployment.accounts import Account
from secondunit.handlers.tools.deployment.git import Git
from secondunit.handlers.tools.deployment.projects import Projects
from secondunit.queue.outcome import Postponed

RECHECK_AFTER = timedelta(seconds=5)


class OtherDeploys(Protocol):
    """The other jobs of the queue."""

    async def newer(self, job_id: str, field: str) -> str | None:
        """A job of the same type, with the same value of this payload field, submitted later, that waits or runs."""
        ...


class Deployments:
    """The projects by id, the accounts of those that have one, and turns: one deploy of a project at a time."""

    def __init__(
        self, projects: Projects, git: Git, others: OtherDeploys, accounts: Mapping[str, Account] | None = None
    ) -> None:
        self.projects = projects
        self.accounts = accounts or {}
        self.git = git
        self.others = others
        self._busy: set[str] = set()

    @contextmanager
    def turn(self, id: str) -> Iterator[None]:
        """Have the project alone, or be Postponed, so that another job gets the room meanwhile."""
        if id in self._busy:
            raise Postponed(f"another deploy of {id} is running", delay=RECHECK_AFTER)
        self._busy.add(id)
        try:
            yield
        finally:
            self._busy.discard(id)
