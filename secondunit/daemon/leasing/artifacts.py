"""Artefacts that remote workers send: streamed to disk, and named by a step of the job, so whole or not there.

The file comes first, synced under a name that nobody else has; the step that names it is written under the lease, in
one transaction: a stale lease leaves nothing. The files lie in the job's folder and go with it: that of the box whose
daemon took them, whoever else shares the queue.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from secondunit.daemon.files.artifacts import LOG, SentFile
from secondunit.daemon.files.incoming import Arrival, told_when_full, written
from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.storage.free_space import free_bytes
from secondunit.queue.durable_files import sync
from secondunit.queue.errors import BadPayload, FieldError, LeaseLost, StoreFull
from secondunit.queue.model import JobId
from secondunit.queue.remote.holding import Holding
from secondunit.queue.store import Step, Steps
from secondunit.queue.value import Value

PREFIX, WHAT = "artifact/", "the artefact"
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
LONGEST_NAME, MOST_OF_JOB = 120, 1000
FOLDER = "artifacts"
LOOK_AFTER, SPARED = 1 << 20, 16 << 20  # so often the disk is looked at, and so much of it is left


class ArtifactTooLarge(Exception):
    """More bytes came than one artefact, or all of a job, may have."""


class SentArtifact(Value, frozen=True):
    """An artefact that is on disk; `digest` is the SHA-256 of its content, in hex."""

    name: str
    size: int
    digest: str
    file: str
    box: str | None


class SentArtifacts:
    """The artefacts beneath one folder of jobs' folders of this box; `limit` bytes each, `in_all` of one job.

    `admit` raises StoreFull while the disk takes nothing.
    """

    def __init__(
        self, work: Path, box: str, steps: Steps, holding: Holding, limit: int, in_all: int, admit: Callable[[], None]
    ) -> None:
        self.limit = limit
        self._box = box
        self._work = work
        self._steps = steps
        self._holding = holding
        self._in_all = in_all
        self._admit = admit
        self._coming: set[Path] = set()
        self._tidying = asyncio.Lock()

    async def store(
        self, job_id: JobId, epoch: int, name: str, chunks: AsyncIterator[bytes], size: int | None = None
    ) -> SentArtifact:
        """Keep what comes under this name, in place of what had it; LeaseLost changes nothing, and keeps nothing.

        StoreFull for more than the disk has room for: at once where its `size` is said before.
        """
        check(name)
        await self._check_room(size or 0)
        await self._holding.held(job_id, epoch)
        before = await self.of(job_id)
        if name not in before and len(before) >= MOST_OF_JOB:
            raise ArtifactTooLarge(f"{MOST_OF_JOB} artefacts are kept of a job; put several files into one")
        others = sum(one.size for one in before.values() if one.name != name)
        path = self._work / job_id / FOLDER / f"{epoch}-{secrets.token_hex(8)}"
        async with self._tidying:  # what comes meanwhile would be taken for a leftover
            self._coming.add(path)
        try:
            limit = min(self.limit, self._in_all - others)
            sent = await self._kept(path, job_id, epoch, name, self._with_room(chunks), limit)
        finally:
            self._coming.discard(path)
        async with self._tidying:
            coming = {one.name for one in self._coming}
            named = {one.file for one in (await self.of(job_id)).values()}
            await in_thread(_tidy, path.parent, coming | named)
        return sent

    async def _kept(
        self, path: Path, job_id: JobId, epoch: int, name: str, chunks: AsyncIterator[bytes], limit: int
    ) -> SentArtifact:
        try:
            came = await self._written(path, chunks, limit)
        except BaseException:
            await in_thread(_unlink, path)
            raise
        sent = SentArtifact(name, came.size, came.digest, path.name, self._box)
        try:
            result = {"size": came.size, "sha256": came.digest, "file": path.name, "box": self._box}
            await self._holding.step(job_id, epoch, PREFIX + name, result)
        except (LeaseLost, StoreFull):  # of any other end it is not known whether the step was written
            await in_thread(_unlink, path)
            raise
        return sent

    async def _with_room(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same, until the disk has no room for more."""
        since = 0
        async for chunk in chunks:
            since += len(chunk)
            if since >= LOOK_AFTER:
                await self._check_room(since)
                since = 0
            yield chunk

    async def _check_room(self, size: int) -> None:
        self._admit()
        if size >= LOOK_AFTER and (free := await in_thread(_free, self._work)) - size < SPARED:
            raise StoreFull(f"{free >> 20} MiB are free on the disk, too few for {WHAT}: it was not stored")

    async def of(self, job_id: JobId) -> Mapping[str, SentArtifact]:
        """Those of a job, by their names."""
        return {one.name: one for step in await self._steps.of_job(job_id) if (one := _sent(step))}

    async def files(self, job_id: JobId) -> Mapping[str, SentFile]:
        """Where they lie; one that is here is, whatever the box was called when it came."""
        sent = await self.of(job_id)
        return await in_thread(self._found, self._work / job_id / FOLDER, sent.values())

    def _found(self, folder: Path, sent: Iterable[SentArtifact]) -> Mapping[str, SentFile]:
        return {
            one.name: SentFile(path, one.size, None if one.box in (None, self._box) or path.exists() else one.box)
            for one in sent
            for path in (folder / one.file,)
        }

    async def _written(self, path: Path, chunks: AsyncIterator[bytes], limit: int) -> Arrival:
        told = f"{limit} bytes are left: {self.limit} for one (MAX_UPLOAD_MB), {self._in_all} for all of a job"
        came = await written(partial(_create, path), chunks, limit, ArtifactTooLarge(told), WHAT)
        with told_when_full(WHAT):
            await in_thread(_sync_names, path)
        return came


def check(name: str) -> None:
    """BadPayload for a name that no artefact may have."""
    fits = 0 < len(name) <= LONGEST_NAME and LETTERS.issuperset(name) and name[0] not in ".-"
    if not fits:
        told = f"should be 1 to {LONGEST_NAME} letters, digits and ._- that begin with none of . and -"
        raise BadPayload(FieldError("name", told))
    if name == LOG:
        raise BadPayload(FieldError("name", f"{LOG} is the job's own log; choose another"))


def _sent(step: Step) -> SentArtifact | None:
    if not step.name.startswith(PREFIX) or not step.done:
        return None
    told: Mapping[str, Any] = step.result
    name = step.name.removeprefix(PREFIX)
    return SentArtifact(name, told["size"], told["sha256"], told["file"], told.get("box"))


def _create(path: Path) -> BinaryIO:
    for folder in reversed(_folders(path)):
        folder.mkdir(mode=0o700, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb")


def _sync_names(path: Path) -> None:
    for folder in _folders(path):
        sync(folder)


def _folders(path: Path) -> Sequence[Path]:
    """The artefacts', the job's and the jobs' folder."""
    return path.parents[:3]


def _tidy(folder: Path, kept: Collection[str]) -> None:
    """Remove what was replaced, and what a daemon left that died while it came."""
    for file in folder.iterdir():
        if file.name not in kept:
            _unlink(file)


def _free(folder: Path) -> int:
    """What the disk has room for that a folder is on, or will be."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return free_bytes(os.statvfs(there))


def _unlink(path: Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        path.unlink()
