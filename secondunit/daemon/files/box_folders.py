"""Published folders among boxes: each has its own local paths in the records, since another's may be spelt the same.

Without that, the janitor of a box where nothing stands at a path would drop the note of what another replaced there,
and a folder that one box publishes would have the other's forgotten.
"""

from collections.abc import Sequence
from datetime import datetime

from secondunit.queue.payloads.locality import Locality
from secondunit.queue.ports.folders import Folders, PublishedFolder, Replaced
from secondunit.queue.value import replace


class _Noted(Replaced, frozen=True):
    """A note, and the path that it is recorded under."""

    recorded: str = ""


class BoxFolders:
    """The Folders port of one box over the queue's `rows`; see `secondunit.queue.ports.folders.Folders`.

    Paths without a box, of shared folders, buckets, and what was recorded before there were several, are everybody's.
    """

    def __init__(self, rows: Folders, here: Locality) -> None:
        self._rows = rows
        self._here = here

    async def add(self, folder: PublishedFolder) -> None:
        await self._rows.add(replace(folder, path=self._here.recorded(folder.path)))

    async def settle(self, folder: PublishedFolder) -> None:
        await self._rows.settle(replace(folder, path=self._here.recorded(folder.path)))

    async def known(self, path: str, inode: int) -> Sequence[PublishedFolder]:
        names = {path, self._here.recorded(path)}
        found = [row for name in names for row in await self._rows.known(name, inode)]
        # Another's stays under its name: it may be known by its inode here, if the box has got another name.
        return [replace(row, path=self._here.own(row.path) or row.path) for row in dict.fromkeys(found)]

    async def replace(self, replaced: Replaced) -> None:
        await self._rows.replace(replace(replaced, path=self._here.recorded(replaced.path)))

    async def replaced(self, before: datetime, limit: int) -> Sequence[Replaced]:
        found = await self._rows.replaced(before, limit)
        return [
            _Noted(own, row.part, row.files, row.at, row.path) for row in found if (own := self._here.own(row.path))
        ]

    async def swept(self, replaced: Replaced) -> None:
        name = replaced.recorded if isinstance(replaced, _Noted) else self._here.recorded(replaced.path)
        await self._rows.swept(Replaced(name, replaced.part, replaced.files, replaced.at))
