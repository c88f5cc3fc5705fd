"""S3 storage: inputs and outputs as objects inside MEDIA_BUCKETS; nothing else can be reached through them."""

import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.storage.local import safe_suffix
from secondunit.handlers.tools.storage.ownership import FolderLog
from secondunit.handlers.tools.storage.ports import Source
from secondunit.handlers.tools.storage.roots import PathRefused
from secondunit.handlers.tools.storage.s3 import folder as s3_folder
from secondunit.handlers.tools.storage.s3.client import ANSWERS_WITHIN, S3, WAITS
from secondunit.handlers.tools.storage.s3.errors import NO_CREDENTIALS
from secondunit.handlers.tools.storage.s3.folder import BucketFolder, staged_folder
from secondunit.handlers.tools.storage.s3.input import fetched
from secondunit.handlers.tools.storage.s3.upload import publish
from secondunit.handlers.tools.storage.s3.urls import Allowed, S3Path
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic
from secondunit.queue.ports.folders import Replaced


class Buckets:
    """`allowed` are entries of MEDIA_BUCKETS; `most_bytes` is the largest input that is fetched.

    `log` has what was replaced.
    """

    def __init__(self, s3: S3, allowed: Sequence[str], most_bytes: int, log: FolderLog) -> None:
        self._s3 = s3
        self._allowed = Allowed(allowed)
        self._most = most_bytes
        self._log = log

    def check(self, field: str, path: str, inputs: Sequence[str] = ()) -> None:
        """Refuse a URL that can't be right by its text alone, or that is one of the inputs."""
        try:
            self._allowed.locate_output(path, inputs)
        except PathRefused as refusal:
            raise BadPayload(FieldError(field, str(refusal))) from None
        self._refuse_without_credentials(field, path)

    def check_folder(self, field: str, path: str, inputs: Sequence[str]) -> None:
        """As `check`, and refuse what contains an input or an entry of MEDIA_BUCKETS."""
        try:
            self._allowed.locate_folder(path, inputs)
        except PathRefused as refusal:
            raise BadPayload(FieldError(field, str(refusal))) from None
        self._refuse_without_credentials(field, path)

    def source(self, path: str, ctx: JobContext | None = None, /) -> AbstractAsyncContextManager[Source]:
        """Fetch an input into the job's own folder."""
        if ctx is None:
            raise ValueError(f"{path} can only be fetched for a job")
        return fetched(self._s3, self._located(path), ctx, self._most)

    async def identity(self, _: str) -> None:
        """What was fetched is a copy of our own."""

    @asynccontextmanager
    async def target(self, path: str, ctx: JobContext, _: Source | None = None) -> AsyncIterator["BucketFile"]:
        """Stage a file that is uploaded when it is published; its input was fetched, under its only name."""
        s3_path = self._located(path)
        local = await in_thread(_fresh, ctx.workspace.run)
        try:
            yield BucketFile(self._s3, s3_path, ctx, local / f"output{safe_suffix(s3_path.names[-1])}")
        finally:
            await in_thread(shutil.rmtree, local, ignore_errors=True)

    @asynccontextmanager
    async def folder(self, path: str, ctx: JobContext, _: Source | None = None) -> AsyncIterator[BucketFolder]:
        """Stage a stream that is uploaded when it is published."""
        s3_path = self._located(path.removesuffix("/"))
        local = await in_thread(_fresh, ctx.workspace.run)
        async with staged_folder(self._s3, s3_path, ctx, local, self._log) as folder:
            yield folder

    async def published(self, path: str) -> Mapping[str, Any] | None:
        """The manifest of the stream whose master playlist stands there."""
        return await s3_folder.published(self._s3, self._located(path))

    async def sweep(self, replaced: Replaced) -> None:
        """Remove what was replaced, unless a master playlist leads to it again."""
        with suppress(PathRefused):  # of a bucket that is none of ours any more
            await s3_folder.sweep(self._s3, self._allowed.locate(replaced.path), replaced.files)

    async def size(self, path: str) -> int | None:
        """The bytes of an object, None if it is not there."""
        found = await self._s3.find(self._located(path))
        return found.size if found else None

    async def signed(self, path: str, lasting: timedelta) -> str:
        """A URL by which anybody can read the object for so long."""
        return await self._s3.signed(self._located(path), lasting)

    def _located(self, path: str) -> S3Path:
        try:
            return self._allowed.locate(path)
        except PathRefused as refusal:
            raise Deterministic(str(refusal), type="outside_roots") from None

    def _refuse_without_credentials(self, field: str, path: str) -> None:
        if not self._s3.configured:
            raise BadPayload(FieldError(field, f"{path} can't be reached: {NO_CREDENTIALS}"))


class BucketFile:
    """A file in the making, local until it is published."""

    fds: Sequence[int] = ()

    def __init__(self, s3: S3, s3_path: S3Path, ctx: JobContext, path: Path) -> None:
        self.path = path
        self._s3 = s3
        self._s3_path = s3_path
        self._ctx = ctx

    async def publish(self) -> int:
        """Upload it, whole or not at all, and remove it here; the size in bytes."""
        with self._ctx.quiet(ANSWERS_WITHIN, WAITS):
            size = await publish(self._s3, self._s3_path, self.path, self._ctx)
        await in_thread(self.path.unlink)
        return size


def _fresh(run: Path) -> Path:
    """A folder of plain characters under a number that is free."""
    number = 1
    while True:
        try:
            (run / f"s3-{number}").mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        else:
            return run / f"s3-{number}"
