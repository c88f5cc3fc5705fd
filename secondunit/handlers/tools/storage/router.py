"""Storage router: `s3://` to buckets, all else beneath the roots."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from secondunit.handlers.tools.storage.ports import Files, Source, StagedFile, StagedFolder
from secondunit.handlers.tools.storage.s3.files import Buckets
from secondunit.handlers.tools.storage.s3.urls import SCHEME
from secondunit.queue.handler import JobContext
from secondunit.queue.ports.folders import Replaced


class Storage:
    """One port to both."""

    def __init__(self, local: Files, buckets: Buckets) -> None:
        self._local = local
        self._buckets = buckets

    def check(self, field: str, path: str, inputs: Sequence[str] = ()) -> None:
        self._of(path).check(field, path, inputs)

    def check_folder(self, field: str, path: str, inputs: Sequence[str]) -> None:
        self._of(path).check_folder(field, path, inputs)

    def source(self, path: str, ctx: JobContext | None = None, /) -> AbstractAsyncContextManager[Source]:
        return self._of(path).source(path, ctx)

    async def identity(self, path: str) -> str | None:
        return await self._of(path).identity(path)

    def target(
        self, path: str, ctx: JobContext, source: Source | None = None
    ) -> AbstractAsyncContextManager[StagedFile]:
        return self._of(path).target(path, ctx, source)

    def folder(
        self, path: str, ctx: JobContext, source: Source | None = None
    ) -> AbstractAsyncContextManager[StagedFolder]:
        return self._of(path).folder(path, ctx, source)

    async def published(self, path: str) -> Mapping[str, Any] | None:
        return await self._of(path).published(path)

    async def sweep(self, replaced: Replaced) -> None:
        await self._of(replaced.path).sweep(replaced)

    def _of(self, path: str) -> Files:
        return self._buckets if path.startswith(SCHEME) else self._local
