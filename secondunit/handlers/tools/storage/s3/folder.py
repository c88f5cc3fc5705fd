"""Atomic folder publication in a bucket, where nothing can be swapped as a whole.

The files of each run lie in a generation, a folder within the folder that no other run writes to; the master playlist
is the one object outside of it. It says which generation it belongs to, it is put last and on condition, and with that
one write everything else takes its place. The generation before it stays for those who began to read it (`sweep`).
"""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from secondunit.handlers.tools.cancellation import in_thread, to_the_end
from secondunit.handlers.tools.storage.ownership import LARGEST_MANIFEST, MADE_BY, MANIFEST, US, FolderLog
from secondunit.handlers.tools.storage.ports import MASTER
from secondunit.handlers.tools.storage.s3.client import ANSWERS_WITHIN, S3, WAITS, Changed, ObjectInfo
from secondunit.handlers.tools.storage.s3.upload import ABORTED_WITHIN, Sending, marks_of, publish_content, put_private
from secondunit.handlers.tools.storage.s3.urls import S3Path
from secondunit.queue.errors import LeaseLost
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic, Transient

GENERATION = re.compile(r"v-(job_\w+)-([0-9]+)")
MARK = "secondunit-folder"
AT_ONCE = 4


class BucketFolder:
    """A folder in the making: `path` is local."""

    fds: Sequence[int] = ()

    def __init__(self, s3: S3, s3_path: S3Path, ctx: JobContext, path: Path, log: FolderLog) -> None:
        self.path = path
        self.inner = f"v-{ctx.job_id}-{ctx.epoch}/"
        self._s3 = s3
        self._s3_path = s3_path
        self._ctx = ctx
        self._log = log
        self._decided = False

    def at(self, name: str) -> str:
        return str(self._s3_path.beneath(name))

    async def published(self) -> Mapping[str, Any] | None:
        with self._asking():
            return await published(self._s3, self._s3_path)

    async def holds(self, files: Mapping[str, object]) -> bool:
        with self._asking():
            return await self._holds(files)

    async def publish(self, manifest: Mapping[str, object]) -> None:
        """Upload all, the master playlist last; what it replaced goes after a while."""
        with self._asking():
            await self._publish(manifest)

    def _asking(self) -> AbstractContextManager[None]:
        return self._ctx.quiet(ANSWERS_WITHIN, WAITS)

    async def _holds(self, files: Mapping[str, object]) -> bool:
        generation = await standing(self._s3, self._s3_path)
        if generation is None:
            return False
        sizes = {
            f"{generation}/{name}": size
            async for name, size in self._s3.beneath(self._s3_path.beneath(generation))
            if name != MANIFEST
        }
        master = await self._s3.find(self._s3_path.beneath(MASTER))
        return master is not None and sizes | {MASTER: master.size} == files

    async def _publish(self, manifest: Mapping[str, object]) -> None:
        await in_thread(_write_manifest, self.path / self.inner, manifest)
        sizes = await in_thread(_sizes, self.path)
        if [name for name in sizes if not name.startswith(self.inner)] != [MASTER]:
            raise ValueError(f"beside {self.inner} there must be {MASTER} and nothing else: {sorted(sizes)[:5]}")
        await self.refuse_foreign()
        sending = Sending(self._ctx, sum(sizes.values()))
        await self._put_all([name for name in sizes if name != MASTER], sending)
        content = await in_thread((self.path / MASTER).read_bytes)
        marks = {**marks_of(self._ctx), MARK: self.inner.rstrip("/")}
        before = await standing(self._s3, self._s3_path)
        await self._note({before})  # killed right after the master was put, we still know what it replaced
        self._decided = True  # from here on the master may be there, whatever we hear of it
        try:
            _, replaced = await publish_content(self._s3, self._s3_path.beneath(MASTER), content, self._ctx, marks)
        except LeaseLost:
            self._decided = False
            raise
        await self._note({before, _generation(replaced), *await self._earlier()})

    async def _note(self, generations: Collection[str | None]) -> None:
        """Have these removed once nobody can be reading them."""
        for generation in generations:
            if generation and generation != self.inner.rstrip("/"):
                await self._log.replaced(str(self._s3_path), generation, [generation])

    async def refuse_foreign(self) -> None:
        """Raise when something lies here that we did not make."""
        if await standing(self._s3, self._s3_path):
            return
        objects, folders = await self._s3.top(self._s3_path)
        if objects or not all(GENERATION.fullmatch(folder) for folder in folders):
            raise Deterministic(
                f"{self._s3_path} holds something that Second Unit did not make; name a new or an empty folder",
                type="output_not_ours",
            )

    async def give_up(self) -> None:
        """Remove what was uploaded, unless it may be in its place."""
        if not self._decided:
            # What stays is litter that nothing leads to; the job's next run removes it.
            with suppress(Transient, Deterministic, TimeoutError):
                async with asyncio.timeout(ABORTED_WITHIN):
                    await _remove(self._s3, self._s3_path.beneath(self.inner.rstrip("/")))

    async def _put_all(self, names: Sequence[str], sending: Sending) -> None:
        """Upload the generation, its manifest last; the first error stops the others."""
        todo = [name for name in reversed(names) if name != f"{self.inner}{MANIFEST}"]

        async def work() -> None:
            while todo:
                await self._put(todo.pop(), sending)

        tasks = [asyncio.create_task(work()) for _ in range(AT_ONCE)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            todo.clear()
            await to_the_end(_stopped(tasks))
        await self._put(f"{self.inner}{MANIFEST}", sending)

    async def _put(self, name: str, sending: Sending) -> None:
        await put_private(self._s3, self._s3_path.beneath(name), self.path / name, self._ctx, sending)

    async def _earlier(self) -> Collection[str]:
        """The generations of this job's earlier runs; some may never have come to be published."""
        with suppress(Transient, Deterministic):  # the result stands; what is left over is litter
            _, folders = await self._s3.top(self._s3_path)
            return [folder for folder in folders if self._is_earlier(folder)]
        return ()

    def _is_earlier(self, folder: str) -> bool:
        found = GENERATION.fullmatch(folder)
        return found is not None and found[1] == self._ctx.job_id and int(found[2]) < self._ctx.epoch


@asynccontextmanager
async def staged_folder(
    s3: S3, s3_path: S3Path, ctx: JobContext, local: Path, log: FolderLog
) -> AsyncIterator[BucketFolder]:
    """Stage a folder in `local`, which is removed afterwards."""
    folder = BucketFolder(s3, s3_path, ctx, local, log)
    try:
        with ctx.quiet(ANSWERS_WITHIN, WAITS):
            await folder.refuse_foreign()
        await in_thread((local / folder.inner).mkdir)
        yield folder
    except BaseException:
        await folder.give_up()
        raise
    finally:
        await in_thread(shutil.rmtree, local, ignore_errors=True)


async def published(s3: S3, s3_path: S3Path) -> Mapping[str, Any] | None:
    """The manifest of the generation that the master playlist belongs to, if it is one of ours."""
    generation = await standing(s3, s3_path)
    return await _read_manifest(s3, s3_path.beneath(f"{generation}/{MANIFEST}")) if generation else None


async def sweep(s3: S3, s3_path: S3Path, generations: Sequence[str]) -> None:
    """Remove those of these generations that no master playlist leads to now: one that was put back may."""
    master = await s3.find(s3_path.beneath(MASTER))
    text = await _content(s3, s3_path.beneath(MASTER), master) if master else b""
    if text is None:
        raise Transient(f"{s3_path} is being replaced", type="source_changed")
    for generation in generations:
        if GENERATION.fullmatch(generation) and generation != _generation(master) and generation.encode() not in text:
            await _remove(s3, s3_path.beneath(generation))


async def standing(s3: S3, s3_path: S3Path) -> str | None:
    """The generation that the master playlist belongs to, if it is one of ours."""
    return _generation(await s3.find(s3_path.beneath(MASTER)))


async def _read_manifest(s3: S3, s3_path: S3Path) -> Mapping[str, Any] | None:
    found = await s3.find(s3_path)
    content = await _content(s3, s3_path, found) if found else None
    try:
        manifest = json.loads(content or b"")
    except (ValueError, RecursionError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.get(MADE_BY) == US else None


async def _content(s3: S3, s3_path: S3Path, found: ObjectInfo) -> bytes | None:
    """The content of an object that was found, if it is small and still the same."""
    if found.size > LARGEST_MANIFEST:
        return None
    try:
        return b"".join([piece async for piece in s3.read(s3_path, found.etag)])
    except Changed:
        return None


async def _remove(s3: S3, home: S3Path) -> None:
    await s3.remove([home.beneath(name) async for name, _ in s3.beneath(home)])


async def _stopped(tasks: Sequence[asyncio.Task[None]]) -> None:
    """End uploads; what is on its way arrives, cancelled or not: better before its generation is removed than after."""
    await asyncio.wait(tasks, timeout=ABORTED_WITHIN)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _generation(master: ObjectInfo | None) -> str | None:
    """Which generation a master playlist belongs to, if it is one of ours."""
    named = master.marks.get(MARK, "") if master else ""
    return named if GENERATION.fullmatch(named) else None


def _write_manifest(folder: Path, manifest: Mapping[str, object]) -> None:
    (folder / MANIFEST).write_text(json.dumps({MADE_BY: US, **manifest}, indent=1))


def _sizes(folder: Path) -> Mapping[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.stat().st_size for path in files}
