"""Artefacts of a job, by name: its log, the files that its type finds in its result, and what a folder of it holds.

The names come from the type's `artifacts(result)` and, below its `folder(result)`, from the manifest there; files are
opened beneath MEDIA_ROOTS, and objects signed inside MEDIA_BUCKETS, as a job's own are, so that neither can lead
anywhere else.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

from secondunit.handlers.tools.storage.ports import Files, Source
from secondunit.handlers.tools.storage.s3.files import Buckets
from secondunit.handlers.tools.storage.s3.folder import GENERATION
from secondunit.handlers.tools.storage.s3.urls import SCHEME
from secondunit.handlers.tools.storage.workspace import open_kept
from secondunit.queue.handler import HandlerSpec, no_folder, output_file
from secondunit.queue.ids import ran_on
from secondunit.queue.model import Job
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.queue.value import Value

LOG = "job.log"
SIGNED_FOR = timedelta(hours=1)
ANSWERS_WITHIN = 10


class NoSuchArtifact(Exception):
    """The job has written nothing of this name, or it is gone."""


class StorageAway(Exception):
    """S3 can't be asked just now."""


class ArtifactFile(Value, frozen=True):
    """A file that a job wrote; `size` in bytes, `away` in a bucket, where its bytes come from.

    `box` is that of the daemon that serves it, where that is another one of the same queue.
    """

    name: str
    size: int
    away: bool = False
    box: str | None = None


class SentFile(Value, frozen=True):
    """A file that a remote worker sent: where it would lie here, or else on which box it does."""

    path: Path
    size: int
    box: str | None = None


class JobArtifacts:
    """The files of jobs of these types; `log_of` says where a job's log lies, `box` which one this is of several."""

    def __init__(
        self,
        files: Files,
        log_of: Callable[[str], Path],
        types: Mapping[str, HandlerSpec],
        buckets: Buckets | None = None,
        sent: Callable[[str], Awaitable[Mapping[str, SentFile]]] | None = None,
        box: str | None = None,
    ) -> None:
        self._files = files
        self._log_of = log_of
        self._types = types
        self._buckets = buckets
        self._sent = sent
        self._box = box

    async def of(self, job: Job) -> Sequence[ArtifactFile]:
        """What is there now, the log first; a stream's segments are left out, its playlists lead to them."""
        found = []
        for name, path in {LOG: "", **self._named(job)}.items():
            try:
                size = await self._size(job, name, path)
                found.append(ArtifactFile(name, size, self._away(path)))
            except NoSuchArtifact:
                continue
        for name, sent in (await self._sent_of(job)).items():
            if sent.box:
                found.append(ArtifactFile(name, sent.size, box=sent.box))
                continue
            with suppress(OSError):  # in its place came another since
                async with open_kept(sent.path, name) as source:
                    found.append(ArtifactFile(name, source.size))
        return found

    async def link(self, job: Job, name: str) -> str | None:
        """The URL by which an object can be read for an hour; None for what lies here."""
        path = self._named(job).get(name) or self._in_generation(job, name)
        if name == LOG or path is None or not path.startswith(SCHEME) or self._buckets is None:
            return None
        async with _asked():
            return await self._buckets.signed(path, SIGNED_FOR)

    @asynccontextmanager
    async def opened(self, job: Job, name: str) -> AsyncIterator[Source]:
        """The file, open, or NoSuchArtifact."""
        async with AsyncExitStack() as held:
            try:
                source = await held.enter_async_context(await self._source(job, name))
            except (Deterministic, OSError) as error:
                raise self._missing(job, name, f"{name} of {job.id} is not there any more") from error
            yield source

    async def _size(self, job: Job, name: str, path: str) -> int:
        if not self._away(path) or self._buckets is None:
            async with self.opened(job, name) as source:
                return source.size
        async with _asked():
            size = await self._buckets.size(path)
        if size is None:
            raise NoSuchArtifact(f"{name} of {job.id} is not there any more")
        return size

    def _away(self, path: str) -> bool:
        return path.startswith(SCHEME) and self._buckets is not None

    async def _source(self, job: Job, name: str) -> AbstractAsyncContextManager[Source]:
        if name == LOG:
            return open_kept(self._log_of(job.id), LOG)
        if (sent := (await self._sent_of(job)).get(name)) is not None:
            if sent.box:
                raise NoSuchArtifact(f"{name} of {job.id} lies on the box {sent.box}; ask the daemon there for it")
            return open_kept(sent.path, name)
        path = self._named(job).get(name) or await self._in_folder(job, name)
        if path is None or path.startswith(SCHEME):
            raise self._missing(job, name, f"{job.id} wrote nothing named {name!r}")
        return self._files.source(path)

    def _missing(self, job: Job, name: str, why: str) -> NoSuchArtifact:
        """It is not here, for this reason; or it lies on another box, which ran the job."""
        ran = ran_on(job.lease.boot) if job.lease else job.runs[-1].box if job.runs else None
        if self._box and ran and ran != self._box:
            return NoSuchArtifact(
                f"{name} of {job.id} is not on this box: {ran} ran the job; ask the daemon there for it"
            )
        return NoSuchArtifact(why)

    async def _sent_of(self, job: Job) -> Mapping[str, SentFile]:
        """What remote workers sent, by name."""
        spec = self._types.get(job.type)
        return await self._sent(job.id) if self._sent and spec and spec.remote else {}

    def _named(self, job: Job) -> Mapping[str, str]:
        """The paths that the result tells of, by the names they are served under; a type that is gone had the usual."""
        spec = self._types.get(job.type)
        return {} if job.result is None else (spec.artifacts if spec else output_file)(job.result)

    def _folder(self, job: Job) -> str | None:
        spec = self._types.get(job.type)
        return None if job.result is None else (spec.folder if spec else no_folder)(job.result)

    async def _in_folder(self, job: Job, name: str) -> str | None:
        """The path of a file of the folder, if the manifest there names it."""
        home = self._folder(job)
        if home is None or home.startswith(SCHEME):
            return None
        files = (await self._files.published(home) or {}).get("files")
        return f"{home}/{name}" if isinstance(files, Mapping) and name in files else None

    def _in_generation(self, job: Job, name: str) -> str | None:
        """The object of this name in a bucket, if it lies in the folder that this job's run alone has written to."""
        home = self._folder(job)
        if home is None or not home.startswith(SCHEME):
            return None
        ours = {path.removeprefix(f"{home}/").partition("/")[0] for path in self._named(job).values()}
        generation, slash, _ = name.partition("/")
        return f"{home}/{name}" if slash and generation in ours and GENERATION.fullmatch(generation) else None


@asynccontextmanager
async def _asked() -> AsyncIterator[None]:
    """What S3 or our own rules refuse is no artefact; what passes, and silence, is told apart."""
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            yield
    except TimeoutError:
        raise StorageAway(f"S3 has not answered within {ANSWERS_WITHIN} s") from None
    except Deterministic as error:
        raise NoSuchArtifact(str(error)) from error
    except Transient as error:
        raise StorageAway(str(error)) from error
