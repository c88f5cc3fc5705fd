"""What handlers are given: small ports to programs, files and the network, bundled as `Tools`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from secondunit.queue.handler import JobContext


@dataclass(frozen=True, slots=True)
class Limits:
    """What the kernel allows a child: bytes of address space, seconds of CPU, bytes of one file."""

    address_space: int | None = None
    cpu_seconds: int | None = None
    file_size: int | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """How a child ended: `returncode` below 0 is minus the signal's number; `stderr` its last 64 KB."""

    returncode: int
    stderr: str


class Programs(Protocol):
    """Runs other programs: own process group, killed with us, never a shell."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        log: Path | None = None,
        env: Mapping[str, str] | None = None,
        limits: Limits = Limits(),
        on_line: Callable[[str], Awaitable[None]] | None = None,
        stdin: bytes | None = None,
        pass_fds: Sequence[int] = (),
        stall: timedelta | None = None,
        timeout: timedelta | None = None,
    ) -> Finished:
        """Run `argv` to its end; `on_line` gets each line of stdout as it comes.

        `env` is the whole environment (a minimal one when None). No line for `stall`: Transient("stalled"). Longer
        than `timeout`: TimeoutError. In every way out, cancellation included, the program and all that it started are
        gone first. A program that can't be started: Deterministic("program_missing").
        """
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """An input file, opened beneath its root: `path` names it for this process and for a child that gets `fd`."""

    name: str
    path: Path
    fd: int
    size: int
    identity: str


class StagedFile(Protocol):
    """A file in the making: write `path`, then publish it under its real name, whole or not at all."""

    @property
    def path(self) -> Path: ...

    async def publish(self) -> int:
        """Put it in its place, durably (fsync and rename, or an upload); the size in bytes."""
        ...


MASTER = "master.m3u8"  # of a staged folder what takes its place last


class StagedFolder(Protocol):
    """A stream's folder in the making, replacing only what we published ourselves.

    All is written beneath `inner` (a relative name that ends in a slash, or nothing), but the master playlist, which is
    written beside it: where a folder can't be swapped as a whole, the master takes its place last.
    """

    @property
    def path(self) -> Path: ...

    @property
    def inner(self) -> str: ...

    def at(self, name: str) -> str:
        """What a relative name is called once it is published."""
        ...

    async def published(self) -> Mapping[str, Any] | None:
        """The manifest of what already stands at the real name, if we made it."""
        ...

    async def holds(self, files: Mapping[str, object]) -> bool:
        """Whether files of these relative names and sizes stand there, beside the manifest."""
        ...

    async def publish(self, manifest: Mapping[str, object]) -> None:
        """Write manifest.json, put all in its place; Deterministic("output_not_ours") if something else is there."""
        ...


class Files(Protocol):
    """Inputs and outputs of jobs; everything outside the roots is refused."""

    def check(self, field: str, path: str) -> None:
        """Refuse (BadPayload naming `field`) what can't be right by its name alone; never blocks."""
        ...

    def check_folder(self, field: str, path: str, inputs: Sequence[str]) -> None:
        """As `check`, and refuse a root itself or a folder that contains an input."""
        ...

    def source(self, path: str, ctx: JobContext | None = None, /) -> AbstractAsyncContextManager[Source]:
        """Open an input; Deterministic("source_missing" | "outside_roots" | "not_a_file").

        What is not on a disk here is fetched into the folder of the job that `ctx` is of.
        """
        ...

    def target(self, path: str, ctx: JobContext) -> AbstractAsyncContextManager[StagedFile]:
        """Stage an output file; `path.suffix` is the real name's. What was not published is removed."""
        ...

    def folder(self, path: str, ctx: JobContext) -> AbstractAsyncContextManager[StagedFolder]:
        """Stage an output folder; what was not published is removed."""
        ...


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that are said from `start` to `end`, in seconds."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class FetchedVideo:
    """A video that was downloaded: `path` lies in the job's `kept` folder; `title` is the page's word for it.

    `cues` are its subtitles, where it came with any.
    """

    path: Path
    size: int
    title: str | None
    url: str
    cues: Sequence[Cue] = ()


class Videos(Protocol):
    """Downloads the video behind a URL, which may be a file, a stream or a page that shows it."""

    def check(self, field: str, url: str) -> None:
        """Refuse (BadPayload naming `field`) a URL that can't be right by its text alone; never blocks."""
        ...

    async def fetch(self, url: str, ctx: JobContext, *, max_bytes: int, language: str | None = None) -> FetchedVideo:
        """Download into `ctx.workspace.kept`, going on where an earlier run stopped, telling progress from 0 to 1.

        Subtitles in `language` (BCP 47), else in the video's own, come along if that takes seconds; they never fail it.

        Private, removed, geo-blocked, not a video, too large, an address not allowed: Deterministic with a message a
        person understands. Rate limits, 5xx, time-outs: Transient, with the wait that was asked for.
        """
        ...


@dataclass(frozen=True, slots=True)
class Captions:
    """What is known of a video without its pictures; `duration` in seconds.

    `language` and `kind` ("manual" | "automatic") are those of the subtitles that were chosen.
    """

    title: str | None
    duration: float | None
    description: str | None
    language: str
    kind: str
    cues: Sequence[Cue]


class Subtitled(Protocol):
    """Reads what is said in the video behind a URL, from its subtitles, without fetching the video."""

    def check(self, field: str, url: str) -> None:
        """Refuse (BadPayload naming `field`) a URL that can't be right by its text alone; never blocks."""
        ...

    async def captions(self, url: str, ctx: JobContext, *, language: str | None) -> Captions:
        """The subtitles in `language` (BCP 47), else in the video's own, else in English, else the first there are.

        None at all: Deterministic("no_subtitles") that says so. Private, removed, rate limits: as `Videos.fetch`.
        """
        ...


class Results(Protocol):
    """Results of earlier jobs by what made them (source and strategy), each for as long as the operator keeps them."""

    async def get(self, key: str) -> tuple[Mapping[str, object], str] | None:
        """The result and the id of the job that made it."""
        ...

    async def put(self, key: str, result: Mapping[str, object], job_id: str) -> None: ...

    def alone(self, key: str) -> AbstractAsyncContextManager[None]:
        """Wait for the run that is making this very result in this process, if there is one."""
        ...
