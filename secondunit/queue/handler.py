"""The port that job types implement: a spec, the context a run gets, and the registry of what is served."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel

from secondunit.queue.errors import UnknownType
from secondunit.queue.model import DEFAULT_PRIORITY, Job
from secondunit.queue.retry import RetryPolicy

T = TypeVar("T")
PayloadModel = type[BaseModel]


@dataclass(frozen=True, slots=True)
class Workspace:
    """Folders of one run: `run` dies with its lease, `kept` lives until the job ends; `log` gets programs' output."""

    run: Path
    kept: Path
    log: Path


class JobContext(Protocol):
    """What a run may know and do of its job. Every write is fenced by the run's lease."""

    @property
    def job_id(self) -> str: ...

    @property
    def attempt(self) -> int:
        """The attempt's number, from 1."""
        ...

    @property
    def epoch(self) -> int: ...

    @property
    def workspace(self) -> Workspace: ...

    @property
    def labels(self) -> Mapping[str, str]:
        """The submitter's own facts about the job."""
        ...

    async def progress(self, fraction: float, message: str = "") -> None:
        """Say how far the work is, 0 to 1 (of the current phase, inside one); cheap, to be called as often as known."""
        ...

    def phase(self, name: str, weight: float) -> AbstractAsyncContextManager[None]:
        """A named part of the work; weights are relative to 1, and inside it `progress` counts from 0 to 1 again."""
        ...

    async def step(
        self,
        name: str,
        work: Callable[[], Awaitable[T]],
        *,
        paid: Literal["repeat", "fail"] | None = None,
        keeps: Callable[[T], Iterable[Path]] | None = None,
    ) -> T:
        """Do `work` once in the job's life and store its JSON result at once; later runs get the stored result.

        `keeps` names files the result points to: they are synced before the step is stored, and it is done again when
        one of them is gone or no longer the same. A `paid` step records its intent before the call; found in doubt
        after a crash it is sent again ("repeat", at most 2 sends a job) or fails the job ("fail").
        """
        ...

    async def partial(self, data: Any) -> None:
        """Publish part of the result to live readers; a JSON value."""
        ...

    async def stats(self, **figures: Any) -> None:
        """Store figures about the work (tokens, counts), shown with the job."""
        ...


@dataclass(frozen=True, slots=True)
class HandlerSpec:
    """One job type.

    `payload` is the model its payloads must fit (strictly; unknown fields are refused whatever the model says); `run`
    gets the context and a validated payload and returns a JSON value or `Partial`. `check` refuses at submit what a
    model can't see, by raising `BadPayload` or `TypeUnavailable`; it must not block. `secrets` names payload
    fields that are never shown.
    """

    type: str
    payload: PayloadModel
    run: Callable[[JobContext, Any], Awaitable[Any]]
    concurrency: int = 1
    timeout: timedelta = timedelta(hours=1)
    stall: timedelta = timedelta(minutes=5)
    retry: RetryPolicy = RetryPolicy()
    priority: int = DEFAULT_PRIORITY
    check: Callable[[Any], None] | None = None
    secrets: Collection[str] = ()


class Workspaces(Protocol):
    """Where runs work."""

    async def open(self, job: Job) -> Workspace:
        """Folders for this lease, made if they are not there."""
        ...

    async def close(self, job: Job, *, ended: bool) -> None:
        """Drop what dies with the lease and, when the job has ended, what dies with the job."""
        ...


class Registry(Mapping[str, HandlerSpec]):
    """The job types that are served, by name."""

    def __init__(self, specs: Iterable[HandlerSpec]) -> None:
        self._specs = {spec.type: spec for spec in specs}

    def __getitem__(self, type: str) -> HandlerSpec:
        try:
            return self._specs[type]
        except KeyError:
            raise UnknownType(type, tuple(sorted(self._specs))) from None

    def __contains__(self, type: object) -> bool:
        return type in self._specs

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)
