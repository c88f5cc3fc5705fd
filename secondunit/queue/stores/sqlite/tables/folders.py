"""Tables of published output folders and of what they replaced."""

from collections.abc import Sequence
from datetime import datetime

from secondunit.queue.payloads.json_text import dump, load
from secondunit.queue.ports.folders import PublishedFolder, Replaced
from secondunit.queue.stores.rows import micros, moment
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
        times = micros(folder.manifest_at), micros(folder.at)
        values = (folder.path, times[0], folder.inode, folder.job_id, folder.epoch, times[1])
        await self._writer.run(lambda tx: tx.execute(ADD, values).rowcount)

    async def settle(self, folder: PublishedFolder) -> None:
        sql, values = (
            "delete from folders where path = ? and manifest_at <> ?",
            (folder.path, micros(folder.manifest_at)),
        )
        await self._writer.run(lambda tx: tx.execute(sql, values).rowcount)

    async def known(self, path: str, inode: int) -> Sequence[PublishedFolder]:
        rows = await self._readers.fetch(KNOWN, (path, inode))
        return [
            PublishedFolder(path, inode, moment(made), job_id, epoch, moment(at))
            for path, inode, made, job_id, epoch, at in rows
        ]

    async def replace(self, replaced: Replaced) -> None:
        sql = "insert or replace into replaced (path, part, files, at) values (?, ?, ?, ?)"
        values = (replaced.path, replaced.part, dump(list(replaced.files)), micros(replaced.at))
        await self._writer.run(lambda tx: tx.execute(sql, values).rowcount)

    async def replaced(self, before: datetime, limit: int) -> Sequence[Replaced]:
        rows = await self._readers.fetch(DUE, (micros(before), limit))
        return [Replaced(path, part, load(files), moment(at)) for path, part, files, at in rows]

    async def swept(self, replaced: Replaced) -> None:
        sql = "delete from replaced where path = ? and part = ? and at = ?"
        values = (replaced.path, replaced.part, micros(replaced.at))
        await self._writer.run(lambda tx: tx.execute(sql, values).rowcount)
