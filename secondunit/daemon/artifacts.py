"""What a job wrote, by name: its log, its output, and of a stream the playlists and all that they lead to.

The names come from the job's result and from the manifest beside a stream; the files are opened beneath MEDIA_ROOTS,
as a job's own are, so that neither can lead anywhere else.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from secondunit.handlers.tools import kept
from secondunit.handlers.tools.destination import LARGEST_MANIFEST, MADE_BY, MANIFEST, US
from secondunit.handlers.tools.endings import in_thread
from secondunit.handlers.tools.ports import Files, Source
from secondunit.queue.model import Job
from secondunit.queue.outcome import Deterministic

LOG = "job.log"


class NoSuchArtifact(Exception):
    """The job has written nothing of this name, or it is gone."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a job wrote; `size` in bytes."""

    name: str
    size: int


class Artifacts:
    """The files of jobs; `log_of` says where a job's log lies."""

    def __init__(self, files: Files, log_of: Callable[[str], Path]) -> None:
        self._files = files
        self._log_of = log_of

    async def of(self, job: Job) -> Sequence[Artifact]:
        """What is there now, the log first; a stream's segments are left out, its playlists lead to them."""
        found = []
        for name in (LOG, *_named(job.result)):
            try:
                async with self.opened(job, name) as source:
                    found.append(Artifact(name, source.size))
            except NoSuchArtifact:
                continue
        return found

    @asynccontextmanager
    async def opened(self, job: Job, name: str) -> AsyncIterator[Source]:
        """The file, open, or NoSuchArtifact."""
        async with AsyncExitStack() as held:
            try:
                source = await held.enter_async_context(await self._source(job, name))
            except (Deterministic, OSError) as error:
                raise NoSuchArtifact(f"{name} of {job.id} is not there any more") from error
            yield source

    async def _source(self, job: Job, name: str) -> AbstractAsyncContextManager[Source]:
        if name == LOG:
            return kept.opened(self._log_of(job.id), LOG)
        path = _named(job.result).get(name) or await self._part_of_stream(job.result, name)
        if path is None:
            raise NoSuchArtifact(f"{job.id} wrote nothing named {name!r}")
        return self._files.source(path)

    async def _part_of_stream(self, result: Any, name: str) -> str | None:
        """A segment's path, if the manifest of the stream's folder names it."""
        home = _home(result)
        if home is None:
            return None
        async with self._files.source(str(home / MANIFEST)) as source:
            manifest = await in_thread(_manifest, source.path)
        files = manifest.get("files")
        ours = manifest.get(MADE_BY) == US and isinstance(files, Mapping) and name in files
        return str(home / name) if ours else None


def _named(result: Any) -> Mapping[str, str]:
    """The paths that a result tells of, by the names they are served under."""
    if not isinstance(result, Mapping):
        return {}
    output, home = result.get("outputPath"), _home(result)
    named = {PurePosixPath(output).name: output} if isinstance(output, str) else {}
    if home is not None:
        named |= {str(PurePosixPath(path).relative_to(home)): path for path in _playlists(result, home)}
    return named


def _home(result: Any) -> PurePosixPath | None:
    master = result.get("masterPath") if isinstance(result, Mapping) else None
    return PurePosixPath(master).parent if isinstance(master, str) else None


def _playlists(result: Mapping[str, Any], home: PurePosixPath) -> Iterator[str]:
    yield result["masterPath"]
    renditions = result.get("renditions")
    for rendition in renditions if isinstance(renditions, list) else ():
        path = rendition.get("path") if isinstance(rendition, Mapping) else None
        if isinstance(path, str) and PurePosixPath(path).is_relative_to(home):
            yield path


def _manifest(path: Path) -> Mapping[str, Any]:
    with path.open("rb") as file:
        raw = file.read(LARGEST_MANIFEST)
    try:
        manifest = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return manifest if isinstance(manifest, dict) else {}
