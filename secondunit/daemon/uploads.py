"""Videos that callers sent: streamed to disk, named by their content, kept while a job needs them."""

import asyncio
import errno
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from secondunit.queue.clock import Clock
from secondunit.queue.errors import JobNotFound, StoreFull
from secondunit.queue.model import Event, Filter, JobId, Status
from secondunit.queue.service import Queue

INCOMING = ".incoming-"
LIVE = Filter(statuses=[Status.QUEUED, Status.RUNNING], types=["analyze"])
MOST_LIVE = 10_000
SWEEP_EVERY = 600.0


class UploadTooLarge(Exception):
    """More bytes came than MAX_UPLOAD_MB allows."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A stored upload: `digest` is the SHA-256 of its content, in hex."""

    path: Path
    digest: str
    size: int


class Uploads:
    """The folder of uploads; `limit` is in bytes. A failed job's upload stays for `kept_for`, so it can be retried."""

    def __init__(self, folder: Path, limit: int, kept_for: timedelta, clock: Clock) -> None:
        self.folder = folder
        self.limit = limit
        self._kept_for = kept_for
        self._clock = clock
        self._ended: asyncio.Queue[JobId] = asyncio.Queue()

    async def receive(self, chunks: AsyncIterator[bytes]) -> Upload:
        """Store what comes; it is on disk when this returns, and not there at all when this raises."""
        incoming = self.folder / f"{INCOMING}{secrets.token_hex(8)}"
        digest, size = hashlib.sha256(), 0
        file = await asyncio.to_thread(incoming.open, "xb")
        try:
            async for chunk in chunks:
                size += len(chunk)
                if size > self.limit:
                    raise UploadTooLarge(
                        f"the video is larger than the {self.limit >> 20} MiB that MAX_UPLOAD_MB allows"
                    )
                await asyncio.to_thread(_append, file, digest, chunk)
            path = self.folder / digest.hexdigest()
            await asyncio.to_thread(_publish, file, incoming, path)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreFull("the disk is full: the upload was not stored") from None
            raise
        finally:
            await asyncio.to_thread(_discard, file, incoming)
        return Upload(path, digest.hexdigest(), size)

    def hear(self, events: Sequence[Event]) -> None:
        """A tap of the hub: an analysis that completed no longer needs its upload."""
        for event in events:
            if event.job_type == "analyze" and event.status is Status.COMPLETED:
                self._ended.put_nowait(event.job_id)

    async def run(self, queue: Queue) -> None:
        """Remove for ever what no job needs any more."""
        await asyncio.to_thread(_remove_incoming, self.folder)
        while True:
            timer = asyncio.ensure_future(self._clock.sleep(SWEEP_EVERY))
            ended = asyncio.ensure_future(self._ended.get())
            try:
                await asyncio.wait([timer, ended], return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    await self._release(queue, ended.result())
                else:
                    await self._sweep(queue)
            finally:
                timer.cancel()
                ended.cancel()

    async def _release(self, queue: Queue, job_id: JobId) -> None:
        try:
            job = await queue.get(job_id)
        except JobNotFound:
            return
        path = Path(str(job.payload.get("videoPath", "")))
        if path.parent == self.folder and str(path) not in await _needed(queue):
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _sweep(self, queue: Queue) -> None:
        needed = await _needed(queue)
        horizon = (self._clock.now() - self._kept_for).timestamp()
        await asyncio.to_thread(_remove_older, self.folder, needed, horizon)


async def _needed(queue: Queue) -> frozenset[str]:
    live = await queue.find(LIVE, limit=MOST_LIVE)
    return frozenset(str(job.payload.get("videoPath")) for job in live.jobs)


def _append(file: BinaryIO, digest: "hashlib._Hash", chunk: bytes) -> None:
    digest.update(chunk)
    file.write(chunk)


def _publish(file: BinaryIO, incoming: Path, path: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    incoming.replace(path)


def _discard(file: BinaryIO, incoming: Path) -> None:
    file.close()
    incoming.unlink(missing_ok=True)


def _remove_incoming(folder: Path) -> None:
    for left in folder.glob(f"{INCOMING}*"):
        left.unlink(missing_ok=True)


def _remove_older(folder: Path, needed: frozenset[str], horizon: float) -> None:
    for path in folder.iterdir():
        if str(path) not in needed and not path.name.startswith(INCOMING) and path.stat().st_mtime < horizon:
            path.unlink(missing_ok=True)
