"""Upload store: videos that callers sent, streamed to disk, named by their content, kept while a job may need them."""

import asyncio
import os
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from secondunit.daemon.config.plugin_guard import every_text
from secondunit.daemon.files.incoming import told_when_full, written
from secondunit.queue.clock import Clock
from secondunit.queue.errors import JobNotFound
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.model import Event, Filter, Job, JobId, Status
from secondunit.queue.service import Queue
from secondunit.queue.value import Value

INCOMING, WHAT = ".incoming-", "the upload"
NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC
NEEDY = [status for status in Status if status is not Status.COMPLETED]  # such a job can be run, or retried
SWEEP_EVERY = 600.0


def plain(path: str) -> Path:
    """A path by its one name: `//x`, which normpath leaves as it is, and `/./x` lead where `/x` does."""
    return Path("/" + os.path.normpath(path).lstrip("/"))


class UploadTooLarge(Exception):
    """More bytes came than MAX_UPLOAD_MB allows."""


class Upload(Value, frozen=True):
    """A stored upload: `digest` is the SHA-256 of its content, in hex."""

    path: Path
    digest: str
    size: int


class Uploads:
    """The folder of uploads; `limit` is in bytes. An upload goes when no job that has not completed names it.

    `types` are all that are known; a job of another may need whatever its payload mentions.
    """

    def __init__(self, folder: Path, limit: int, clock: Clock, types: Mapping[str, HandlerSpec]) -> None:
        self.folder = folder
        self.limit = limit
        self._clock = clock
        self._types = types
        self._names = {type: spec.uploads for type, spec in types.items() if spec.uploads}
        self._arriving: set[Path] = set()
        self._held: Counter[Path] = Counter()
        self._held_lately: set[Path] = set()
        self._moving = asyncio.Lock()
        self._let_go: asyncio.Queue[Path | JobId] = asyncio.Queue()

    @asynccontextmanager
    async def received(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[Upload]:
        """Store what comes: it is on disk when this opens, and stays until this closes, or while a job needs it."""
        incoming = self.folder / f"{INCOMING}{secrets.token_hex(8)}"
        self._arriving.add(incoming)
        try:
            upload = await self._written(incoming, chunks)
            with self._holding(upload.path):
                with told_when_full(WHAT):
                    async with self._moving:
                        await asyncio.to_thread(_publish, self.folder, incoming.name, upload.path.name)
                yield upload
        finally:
            self._arriving.discard(incoming)
            await asyncio.to_thread(_unlink, incoming)

    def hear(self, events: Sequence[Event]) -> None:
        """A tap of the hub: a job that completed no longer needs its uploads."""
        for event in events:
            if event.job_type in self._names and event.status is Status.COMPLETED:
                self._let_go.put_nowait(event.job_id)

    async def run(self, queue: Queue) -> None:
        """Remove for ever what no job needs any more; at first what an earlier life of the daemon left behind."""
        await self._sweep(queue)
        while True:
            timer = asyncio.ensure_future(self._clock.sleep(SWEEP_EVERY))
            let_go = asyncio.ensure_future(self._let_go.get())
            try:
                await asyncio.wait([timer, let_go], return_when=asyncio.FIRST_COMPLETED)
                if let_go.done():
                    await self._consider(queue, let_go.result())
                else:
                    await self._sweep(queue)
            finally:
                timer.cancel()
                let_go.cancel()

    async def _written(self, incoming: Path, chunks: AsyncIterator[bytes]) -> Upload:
        too_large = UploadTooLarge(f"videos of up to {self.limit >> 20} MiB are taken (MAX_UPLOAD_MB)")
        came = await written(partial(_create, incoming), chunks, self.limit, too_large, WHAT)
        return Upload(self.folder / came.digest, came.digest, came.size)

    @contextmanager
    def _holding(self, path: Path) -> Iterator[None]:
        self._held[path] += 1
        self._held_lately.add(path)
        try:
            yield
        finally:
            self._held[path] -= 1
            if not self._held[path]:
                del self._held[path]
            self._let_go.put_nowait(path)

    async def _consider(self, queue: Queue, what: Path | JobId) -> None:
        if isinstance(what, Path):
            paths = {what}
        else:
            try:
                paths = self._named_by(await queue.get(what))
            except JobNotFound:
                return
        if ours := [path for path in paths if path.parent == self.folder]:
            await self._remove(queue, ours)

    async def _sweep(self, queue: Queue) -> None:
        await self._remove(queue, await asyncio.to_thread(lambda: list(self.folder.iterdir())))

    async def _remove(self, queue: Queue, paths: Collection[Path]) -> None:
        """Remove those that nobody needs; what is handed in while the jobs are looked through is spared."""
        self._held_lately = set(self._held)
        needed = await self._named_by_jobs(queue)
        async with self._moving:
            spared = needed | self._held_lately | self._arriving
            for path in paths:
                if path not in spared:
                    await asyncio.to_thread(_unlink, path)

    async def _named_by_jobs(self, queue: Queue) -> set[Path]:
        counts = await queue.counts()
        types = self._names.keys() | {*counts.queued, *counts.running, *counts.ended} - self._types.keys()
        if not types:
            return set()
        return {path async for job in queue.each(Filter(NEEDY, sorted(types))) for path in self._named_by(job)}

    def _named_by(self, job: Job) -> set[Path]:
        names = self._names.get(job.type)
        return {plain(path) for path in (names(job.payload) if names else every_text(job.payload))}


def _publish(folder: Path, incoming: str, name: str) -> None:
    with _opened(folder) as fd:
        os.replace(incoming, name, src_dir_fd=fd, dst_dir_fd=fd)
        os.fsync(fd)


def _create(file: Path) -> BinaryIO:
    with _opened(file.parent) as fd:
        return os.fdopen(os.open(file.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK, 0o600, dir_fd=fd), "wb")


def _unlink(file: Path) -> None:
    with suppress(FileNotFoundError), _opened(file.parent) as fd:
        os.unlink(file.name, dir_fd=fd)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """The folder itself, never what a link in its place leads to."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | NO_LINK)
    try:
        yield fd
    finally:
        os.close(fd)
