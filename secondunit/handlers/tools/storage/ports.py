"""Port to storage: inputs that are opened, outputs that are staged and then published whole or not at all."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from secondunit.queue.handler import JobContext
from secondunit.queue.ports.folders import Replaced


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

    @property
    def fds(self) -> Sequence[int]:
        """What a program has to be given (`pass_fds`) for `path` to lead anywhere."""
        ...

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
    def fds(self) -> Sequence[int]:
        """As of a file."""
        ...

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

    def check(self, field: str, path: str, inputs: Sequence[str] = ()) -> None:
        """Refuse (BadPayload naming `field`) what can't be right by its name alone; never blocks.

        An output that would replace one of its job's `inputs` is none.
        """
        ...

    def check_folder(self, field: str, path: str, inputs: Sequence[str]) -> None:
        """As `check`, and refuse a root itself or a folder that contains an input."""
        ...

    def source(self, path: str, ctx: JobContext | None = None, /) -> AbstractAsyncContextManager[Source]:
        """Open an input; Deterministic("source_missing" | "outside_roots" | "not_a_file").

        What is not on a disk here is fetched into the folder of the job that `ctx` is of.
        """
        ...

    async def identity(self, path: str) -> str | None:
        """What stands there now, as a Source's identity; None where what was opened can't change any more."""
        ...

    def target(
        self, path: str, ctx: JobContext, source: Source | None = None
    ) -> AbstractAsyncContextManager[StagedFile]:
        """Stage an output file; `path.suffix` is the real name's. What was not published is removed.

        Deterministic("output_is_input") if what stands there is what it is made of, by whatever name.
        """
        ...

    def folder(
        self, path: str, ctx: JobContext, source: Source | None = None
    ) -> AbstractAsyncContextManager[StagedFolder]:
        """Stage an output folder; what was not published is removed. As a file's, it must not hold its own source."""
        ...

    async def published(self, path: str) -> Mapping[str, Any] | None:
        """The manifest of the folder that stands at a path, if we published it."""
        ...

    async def sweep(self, replaced: Replaced) -> None:
        """Remove what was replaced a while ago, unless what stands there now refers to it."""
        ...
