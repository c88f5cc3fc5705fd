"""Port to the results cache: results of earlier jobs, by what made them."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Results(Protocol):
    """Results of earlier jobs by what made them (source and strategy), each for as long as the operator keeps them."""

    async def get(self, key: str) -> tuple[Mapping[str, object], str] | None:
        """The result and the id of the job that made it."""
        ...

    async def put(self, key: str, result: Mapping[str, object], job_id: str) -> None: ...

    def alone(self, key: str) -> AbstractAsyncContextManager[None]:
        """Wait for the run that is making this very result in this process, if there is one."""
        ...
