"""Ownership of output folders: what stands at a path, and whether our own records say that we published it.

A manifest alone proves nothing, because whoever can write in a root, or has a job write there, can write one.
"""

import errno
import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from secondunit.queue.clock import Clock
from secondunit.queue.handler import JobContext
from secondunit.queue.ports.folders import Folders, PublishedFolder, Replaced
from secondunit.queue.value import Value

OWN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MANIFEST, MADE_BY, US = "manifest.json", "madeBy", "secondunit"
LARGEST_MANIFEST = 16 * 1024 * 1024
ROUNDING = timedelta(seconds=2)  # of times on exFAT; who plants a copy by way of a job is later
ADOPTED, ADOPTED_WITHIN = 0, timedelta(hours=1)


class Standing(Value, frozen=True):
    """What stands somewhere: of a folder its inode, and our kind of manifest with the time when it was written."""

    kind: Literal["nothing", "empty", "folder", "other"] = "nothing"
    place: tuple[int, int] = (0, 0)
    manifest: Mapping[str, Any] | None = None
    manifest_at: datetime | None = None


class Made(Value, frozen=True):
    """A folder that is about to be published, and the files of what it replaces that are still in it."""

    inode: int
    manifest_at: datetime
    kept: Sequence[str]


class FolderLog:
    """The records of what was published, by absolute paths or URLs without a slash at their end."""

    def __init__(self, rows: Folders, clock: Clock) -> None:
        self._rows = rows
        self._clock = clock

    async def owns(self, path: str, standing: Standing) -> bool:
        """Whether what stands there is a folder that we published."""
        return standing.manifest_at is not None and is_ours(
            path, standing, await self._rows.known(path, standing.place[1])
        )

    async def publishing(self, path: str, made: Made, ctx: JobContext) -> PublishedFolder:
        """Note what is about to stand there: killed in between, we know both what stood there and what comes."""
        folder = PublishedFolder(path, made.inode, made.manifest_at, ctx.job_id, ctx.epoch, self._clock.now())
        await self._rows.add(folder)
        await self.replaced(path, "", made.kept)
        return folder

    async def published(self, folder: PublishedFolder, kept: Sequence[str]) -> None:
        """It stands: what it replaced counts from now on."""
        await self._rows.settle(folder)
        await self.replaced(folder.path, "", kept)

    async def replaced(self, path: str, part: str, files: Sequence[str]) -> None:
        """Note what goes once no player can be reading it; nothing where `files` are none."""
        if files:
            await self._rows.replace(Replaced(path, part, files, self._clock.now()))


def is_ours(path: str, standing: Standing, known: Iterable[PublishedFolder]) -> bool:
    """Whether a folder is one of those: by its manifest's time, and by its place or, if it was moved, its inode."""
    return standing.manifest_at is not None and any(
        (path == row.path and row.inode == ADOPTED and _adopted(row.manifest_at - standing.manifest_at))
        or (
            (path == row.path or standing.place[1] == row.inode)
            and abs(row.manifest_at - standing.manifest_at) <= ROUNDING
        )
        for row in known
    )


def _adopted(before_the_end: timedelta) -> bool:
    return -ROUNDING <= before_the_end <= ADOPTED_WITHIN


def look(name: str, folder: int) -> Standing:
    """What stands under a name in an open folder, a link not followed. Blocks."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode):
            return Standing("other")
        with ExitStack() as held:
            here = os.open(name, OWN_FOLDER, dir_fd=folder)
            held.callback(os.close, here)
            return look_at(here)
    except FileNotFoundError:
        return Standing()
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):  # it has just become one
            return Standing("other")
        raise


def look_at(folder: int) -> Standing:
    """What an open folder is. Blocks."""
    with os.scandir(folder) as entries:
        empty = next(entries, None) is None
    if empty:
        return Standing("empty", place_of(folder))
    manifest, written = _read_manifest(folder)
    return Standing("folder", place_of(folder), manifest, written)


def place_of(fd: int) -> tuple[int, int]:
    """Device and inode of something open."""
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def write_manifest(folder: int, manifest: Mapping[str, object]) -> datetime:
    """Write a handler's own facts about a folder into it; when that was, as the disk has it."""
    fd = os.open(MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump({MADE_BY: US, **manifest}, file, indent=1)
        file.flush()
        return _written(fd)


def _read_manifest(folder: int) -> tuple[Mapping[str, Any] | None, datetime | None]:
    """The manifest in an open folder, if it has the form of ours, and when it was written."""
    try:
        fd = os.open(MANIFEST, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return None, None
        raise
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None, None
        raw = file.read(LARGEST_MANIFEST)
        written = _written(fd)
    try:
        manifest = json.loads(raw)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(manifest, dict) or manifest.get(MADE_BY) != US:
        return None, None
    return manifest, written


def _written(fd: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=os.fstat(fd).st_mtime_ns // 1000)
