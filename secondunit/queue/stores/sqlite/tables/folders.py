"""Tables of published output folders and of what they replaced."""

from collections.abc import Sequence
from datetime import datetime

from secondunit.queue.ports.folders import PublishedFolder, Replaced
from secondunit.queue.stores.port_rows import folder_from, folder_values, replaced_from, replaced_values
from secondunit.queue.stores.rows import micros
from secondunit.queue.stores.sqlite.readers import Readers
from secondunit.queue.stores.sqlite.writer import Writer

ADD = "insert or replace into folders (path, manifest_at, inode, job_id, epoch, at) values (?, ?, ?, ?, ?, ?)"
# Two statements of one index each: an "or" over both would be read row by row where SQLite has no statistics.
KNOWN = """
select path, inode, manifest_at, job_id, epoch, at from folders where path = ?
union
select path, inode, manifest_at, job_id, epoch, at from folders where inode = ?"""
DUE = "select path, part, files, at from replaced where at < ? order by at, path, part limit ?"


class SqliteFolders:
    """The Folders port; see `secondunit.queue.ports.folders.Folders`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def add(self, folder: PublishedFolder) -> None:
        await self._writer.run(lambda tx: tx.execute(ADD, folder_values(folder)).rowcount)

    async def settle(self, folder: PublishedFolder) -> None:
        sql, values = (
            "delete from folders where path = ? and manifest_at <> ?",
            (folder.path, micros(folder.manifest_at)),
        )
        await self._writer.run(lambda tx: tx.execute(sql, values).rowcount)

    async def known(self, path: str, inode: int) -> Sequence[PublishedFolder]:
        rows = await self._readers.fetch(KNOWN, (path, inode))
        return [folder_from(row) for row in rows]

    async def replace(self, replaced: Replaced) -> None:
        sql = "insert or replace into replaced (path, part, files, at) values (?, ?, ?, ?)"
        await self._writer.run(lambda tx: tx.execute(sql, replaced_values(replaced)).rowcount)

    async def replaced(self, before: datetime, limit: int) -> Sequence[Replaced]:
        rows = await self._readers.fetch(DUE, (micros(before), limit))
        return [replaced_from(row) for row in rows]

    async def swept(self, replaced: Replaced) -> None:
        sql = "delete from replaced where path = ? and part = ? and at = ?"
        values = (replaced.path, replaced.part, micros(replaced.at))
        await self._writer.run(lambda tx: tx.execute(sql, values).rowcount)
