"""Handler port that job types implement: a spec, the context a run gets, and the registry of what is served."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
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

    @property
    def parents(self) -> Mapping[str, Any]:
        """The results of the jobs that this one depends on, by id and, within its batch, by ref; null without one."""
        ...

    async def progress(self, fraction: float, message: str = "") -> None:
        """Say how far the work is, 0 to 1 (of the current phase, inside one); cheap, to be called as often as known."""
        ...

    def beat(self) -> None:
        """Say that something moved that nobody need see (bytes, a program's output); cheap, from any thread."""
        ...

    def quiet(self, limit: timedelta, what: str) -> AbstractContextManager[None]:
        """While inside, the run may give no sign of life for `limit`, where its stall is shorter.

        For what can't be watched and has a limit of its own; `what` goes on "no sign of life for 600 s while ...".
        """
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


def output_file(result: Any) -> Mapping[str, str]:
    """What most types write: the file at `outputPath` of the result, under its own name."""
    path = result.get("outputPath") if isinstance(result, Mapping) else None
    return {path.rpartition("/")[2]: path} if isinstance(path, str) else {}


def output_place(payload: Any) -> str | None:
    """Where most types write, by their payloads: `output_dir` or `output_path`."""
    return getattr(payload, "output_dir", None) or getattr(payload, "output_path", None)


def input_paths(payload: Mapping[str, Any]) -> Collection[str]:
    """What most types read: every absolute path in a payload, however deep, but in fields named `output...`."""
    found: list[str] = []
    left: list[Any] = [payload]
    while left:
        match left.pop():
            case str() as text:
                if text.startswith("/"):
                    found.append(text)
            case int() | float() | None:
                pass  # to ask whether it is a Mapping would take longer than all else
            case dict() | Mapping() as fields:
                left += [value for name, value in fields.items() if not str(name).startswith("output")]
            case list() as values:
                left += values
    return found


def no_inputs(_: Mapping[str, Any]) -> Collection[str]:
    """It reads no file that a payload names."""
    return ()


def no_folder(_: Any) -> str | None:
    """The result tells of no folder."""
    return None


def no_trouble() -> str | None:
    """Nothing holds the type back."""
    return None


@dataclass(frozen=True, slots=True)
class HandlerSpec:
    """One job type: how it runs, and all that others must know of it. Nobody else names a type.

    How it runs. `payload` is the model its payloads must fit (strictly; unknown fields are refused whatever the model
    says); `run` gets the context and a validated payload and returns a JSON value or `Partial`. `check` refuses at
    submit what a model can't see, by raising `BadPayload` or `TypeUnavailable`; it must not block. `secrets` names
    payload fields that are never shown and go as the job ends. `priority` is that of a job that says none.

    What the operator may change: `concurrency` (CONCURRENCY_<TYPE>: how many run at once), `timeout` (TIMEOUT_<TYPE>:
    one attempt's limit), `stall` (STALL_SECONDS: the longest time without a sign of life), `retry` ([types.T.retry]).

    `reserve(payload)`: the bytes that a run will write at most, to the disk of `place(payload)` (None: to DATA_DIR's).
    A job starts once so much is free beside what running jobs reserved (docs/resources.md). It may look at files.

    How long runs take is learned by the bytes of their inputs, `size(payload)` of a payload's JSON (0 where it can't be
    told; it may look at files), and better by `measures`: figures that a run tells by `ctx.stats` before it does the
    work, and that grow with it, the best one first. Of a type that has some, a run that tells none did no work.

    `paid`: runs ask Gemini, through `tools.gemini`, in paid steps. Without GEMINI_API_KEY its jobs are refused and
    /health says so; once GEMINI_DAILY_TOKENS are used up its jobs wait for the next day. `programs`: what its runs call
    by name ("ffmpeg", "yt-dlp", "deno", "git"); /health and doctor ask for what the served types need, and no more.

    The rest are questions about what is stored: JSON that may be of an older version. They are quick and don't block.

    - `artifacts(result)`: the files that a job with this result wrote, by the names they are listed and served under;
      paths are read beneath MEDIA_ROOTS and MEDIA_BUCKETS only.
    - `folder(result)`: the folder that it published through `Files.folder`; what else lies there is served, unlisted,
      under its path from the folder.
    - `remote`: remote workers lease its jobs over HTTP, and `run` is never called.
    - `audited`: each submit goes into the audit trail, since a run changes something beyond files.
    - `inputs(payload)`: the files that a run reads. Where several boxes share the queue, a job with one outside of
      SHARED_ROOTS runs on the box that took it; what is no absolute path (a URL) can be read on any.
    - `uploads(payload)`: the paths of uploads that the payload names; they stay until the job has completed.
    - `retry_partial(job)`: whether what this partial job missed may be found when it is run again: it is then queued
      again by itself, after 15 minutes, 1, 4 and 12 hours. `trouble()` says why no such run can succeed just now, if
      that is known: then one job at a time is tried.
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
    reserve: Callable[[Any], int] | None = None
    place: Callable[[Any], str | None] = output_place
    size: Callable[[Mapping[str, Any]], int] | None = None
    measures: Sequence[str] = ()
    secrets: Collection[str] = ()
    paid: bool = False
    programs: Collection[str] = ()
    artifacts: Callable[[Any], Mapping[str, str]] = output_file
    folder: Callable[[Any], str | None] = no_folder
    inputs: Callable[[Mapping[str, Any]], Collection[str]] = input_paths
    uploads: Callable[[Mapping[str, Any]], Collection[str]] | None = None
    retry_partial: Callable[[Job], bool] | None = None
    trouble: Callable[[], str | None] = no_trouble
    audited: bool = False
    remote: bool = False


class Workspaces(Protocol):
    """Where runs work."""

    async def open(self, job: Job) -> Workspace:
        """Folders for this lease, made if they are not there."""
        ...

    async def close(self, job: Job, *, ended: bool) -> None:
        """Drop what dies with the lease and, when the job has ended, what dies with the job."""
        ...


class Registry(dict[str, HandlerSpec]):
    """The job types that are served, by name; UnknownType for another. It is asked for every job, and never changed.

    What other boxes of the queue may run is known by its name, too, but not among them: it can be taken, not run.
    """

    def __init__(self, specs: Iterable[HandlerSpec], elsewhere: Iterable[HandlerSpec] = ()) -> None:
        super().__init__({spec.type: spec for spec in specs})
        self._elsewhere = {spec.type: spec for spec in elsewhere}

    def __missing__(self, type: str) -> HandlerSpec:
        if spec := self._elsewhere.get(type):
            return spec
        raise UnknownType(type, tuple(sorted(self)))

    def known(self, type: str) -> HandlerSpec | None:
        """The type, served here or elsewhere; None for one that nobody knows here."""
        return self.get(type) or self._elsewhere.get(type)

    def secrets_of(self, type: str) -> Collection[str]:
        """The fields of this type's payloads that are secret; none are known of a type that is not known."""
        spec = self.known(type)
        return spec.secrets if spec else ()
