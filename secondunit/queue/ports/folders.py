"""Records of published output folders, and the port to them: which are ours, and what they replaced."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from secondunit.queue.model import JobId
from secondunit.queue.value import Value


class PublishedFolder(Value, frozen=True):
    """An output folder of ours, known again by its `inode` and by when its manifest was written; outlives its job."""

    path: str
    inode: int
    manifest_at: datetime
    job_id: JobId
    epoch: int
    at: datetime


class Replaced(Value, frozen=True):
    """What a newer output left behind at `path` and players may still read: `files` in it, since `at`.

    `part` tells apart what is replaced by itself: a generation in a bucket, nothing where all stands in one folder.
    """

    path: str
    part: str
    files: Sequence[str]
    at: datetime


class Folders(Protocol):
    """The output folders that were published, and what they replaced: a folder that is not listed is a stranger's."""

    async def add(self, folder: PublishedFolder) -> None:
        """Note a folder that is about to be published, beside what stands at its path until then."""
        ...

    async def settle(self, folder: PublishedFolder) -> None:
        """It stands: forget the others of its path."""
        ...

    async def known(self, path: str, inode: int) -> Sequence[PublishedFolder]:
        """Those that were published at this path, or had this inode wherever they were."""
        ...

    async def replace(self, replaced: Replaced) -> None:
        """Note what was replaced, in the place of an earlier note of its path and part."""
        ...

    async def replaced(self, before: datetime, limit: int) -> Sequence[Replaced]:
        """What was replaced before that moment, oldest first."""
        ...

    async def swept(self, replaced: Replaced) -> None:
        """Forget this very note; one written meanwhile stays."""
        ...
