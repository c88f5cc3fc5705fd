"""Scratch folders of jobs: DATA_DIR/work/JOB/{kept, run-EPOCH} and the file `log`, for us alone (0700).

A folder is made when a run first asks for it, by a call so short that no thread is worth its while: most runs of small
jobs need none. What can't be removed at once (a file that a dying disk holds on to) goes at the next sweep.
"""

import os
import shutil
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.storage.ports import Source
from secondunit.queue.handler import Workspace
from secondunit.queue.model import Job, JobId

RUN, KEPT, LOG = "run-", "kept", "log"
PRIVATE = 0o700


class WorkFolders:
    """The scratch folders beneath one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._work = data_dir / "work"
        self._used: set[JobId] = set()

    @property
    def root(self) -> Path:
        """The folder of jobs' folders."""
        return self._work

    async def open(self, job: Job) -> Workspace:
        """Folders for this lease, each made when it is asked for."""
        return _Folders(self._work, job, self._used)

    async def close(self, job: Job, *, ended: bool) -> None:
        """Drop what dies with the lease and, when the job has ended, what dies with the job; the log stays."""
        if job.id not in self._used and job.epoch == 1:  # a later run may have to tidy up after an earlier one
            return
        self._used.discard(job.id)
        mine = self._work / job.id
        doomed = [mine / f"{RUN}{job.epoch}", *([mine / KEPT] if ended else [])]
        await in_thread(_remove, doomed)

    async def forget(self, job_ids: Collection[JobId]) -> None:
        """Drop everything of these jobs, logs included."""
        await in_thread(_remove, [self._work / job_id for job_id in job_ids])

    def log_of(self, job_id: JobId) -> Path:
        """Where a job's log lies, if it has one."""
        return self._work / job_id / LOG

    async def sweep(self, live: Collection[JobId]) -> None:
        """At start, when no run is alive: drop all run folders, and what is kept of jobs that are not `live`."""
        await in_thread(self._sweep, live)

    async def present(self) -> Sequence[JobId]:
        """The jobs that have a folder here; those the store does not know may be forgotten."""
        return await in_thread(self._present)

    def _sweep(self, live: Collection[JobId]) -> None:
        for job_id in self._present():
            mine = self._work / job_id
            _remove(mine.glob(f"{RUN}*"))
            if job_id not in live:
                _remove([mine / KEPT])
                with suppress(OSError):  # a log is left in it
                    mine.rmdir()

    def _present(self) -> Sequence[JobId]:
        try:
            return sorted(folder.name for folder in self._work.iterdir())
        except FileNotFoundError:
            return ()


@asynccontextmanager
async def open_kept(path: Path, name: str) -> AsyncIterator[Source]:
    """Open what a job keeps as an input is opened, as `name`, which messages show; never through a symbolic link."""
    fd = await in_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        found = await in_thread(os.fstat, fd)
        identity = f"{found.st_dev:x}-{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}"
        yield Source(name, Path(f"/proc/self/fd/{fd}"), fd, found.st_size, identity)
    finally:
        await in_thread(os.close, fd)


class _Folders(Workspace):
    """The folders of one lease below the job's own; the first that is made is noted in `used`."""

    __setattr__ = object.__setattr__  # it remembers what it made; to a run it is as frozen as any

    def __init__(self, work: Path, job: Job, used: set[JobId]) -> None:
        self._work = work
        self._job = job
        self._used = used
        self._there: set[str] = set()

    @property
    def run(self) -> Path:
        return self._made(f"{RUN}{self._job.epoch}")

    @property
    def kept(self) -> Path:
        return self._made(KEPT)

    @property
    def log(self) -> Path:
        return self._made("") / LOG

    def _made(self, name: str) -> Path:
        mine = self._work / self._job.id
        folder = mine / name
        if name not in self._there:
            self._used.add(self._job.id)
            for path in (self._work, mine, folder):
                path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            self._there.add(name)
        return folder


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        with suppress(RecursionError):  # folders in folders, a thousand deep: what is left goes at later sweeps
            shutil.rmtree(folder, ignore_errors=True)
