"""Callers: who asks, with which scopes, and which jobs that shows them."""

from collections.abc import Collection, Sequence
from typing import Literal, get_args

from secondunit.queue.errors import JobNotFound
from secondunit.queue.model import Job
from secondunit.queue.value import Value

Scope = Literal["read", "submit", "admin", "work"]
EVERY_SCOPE: frozenset[Scope] = frozenset(get_args(Scope))


class WrongType(Exception):
    """The key is for other job types."""


class Caller(Value, frozen=True):
    """Somebody with a key, or anybody where there is none.

    `id` tells keys apart without showing them and is empty without one, `name` is for people. `prefix` is that of a key
    from the database: what comes under it is this owner's. `types` are the only ones that it is for, None is all.
    """

    id: str
    scopes: frozenset[Scope]
    name: str | None = None
    prefix: str | None = None
    types: Collection[str] | None = None
    rate: str | None = None

    @property
    def tenant(self) -> str | None:
        """The owner outside of whose jobs this caller sees nothing; None for one that sees all."""
        return None if "read" in self.scopes or "submit" not in self.scopes else self.prefix

    def reaches(self, scopes: Collection[Scope]) -> bool:
        """Whether one of these scopes is among its own."""
        return not self.scopes.isdisjoint(scopes)

    def sees(self, job: Job) -> bool:
        """Whether this caller may know that there is such a job."""
        return self.tenant in (None, job.owner)

    def own(self, key: str) -> str:
        """The key of what others must not share, as none of theirs is; a tenant's differs from everybody's."""
        return key if self.tenant is None else f"{key} of {self.tenant}"

    def seen(self, job: Job) -> Job:
        """The job, or JobNotFound as if there were none."""
        if not self.sees(job):
            raise JobNotFound(job.id)
        return job

    def check_types(self, types: Sequence[str]) -> None:
        """Refuse, as WrongType, jobs that the key is not for."""
        wrong = [] if self.types is None else [type for type in types if type not in self.types]
        if wrong:
            raise WrongType(f"this key is for {', '.join(sorted(self.types or ()))} alone, not {wrong[0][:100]}")


EVERYBODY = Caller("", EVERY_SCOPE)
