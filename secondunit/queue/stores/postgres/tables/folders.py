"""Tables of published output folders and of what they replaced."""

from collections.abc import Sequence
from datetime import datetime

from secondunit.queue.ports.folders import PublishedFolder, Replaced
from secondunit.queue.stores.port_rows import folder_from, folder_values, replaced_from, replaced_values
from secondunit.queue.stores.postgres.readers import PostgresReaders
from secondunit.queue.stores.postgres.writer import PostgresWriter
from secondunit.queue.stores.rows import micros

ADD = """
insert into folders (path, manifest_at, inode, job_id, epoch, at) values (%s, %s, %s, %s, %s, %s)
on conflict (path, manifest_at) do update
set inode = excluded.inode, job_id = excluded.job_id, epoch = excluded.epoch, at = excluded.at"""
REPLACE = """
insert into replaced (path, part, files, at) values (%s, %s, %s, %s)
on conflict (path, part) do update set files = excluded.files, at = excluded.at"""
KNOWN = """
select path, inode, manifest_at, job_id, epoch, at from folders where path = %s
union
select path, inode, manifest_at, job_id, epoch, at from folders where inode = %s"""
DUE = "select path, part, files, at from replaced where at < %s order by at, path, part limit %s"


class PostgresFolders:
    """The Folders port; see `secondunit.queue.ports.folders.Folders`."""

    def __init__(self, writer: PostgresWriter, readers: PostgresReaders) -> None:
        self._writer = writer
        self._readers = readers

    async def add(self, folder: PublishedFolder) -> None:
        await self._writer.run(lambda tx: tx.send(ADD, folder_values(folder)))

    async def settle(self, folder: PublishedFolder) -> None:
        sql, values = (
            "delete from folders where path = %s and manifest_at <> %s",
            (folder.path, micros(folder.manifest_at)),
        )
        await self._writer.run(lambda tx: tx.send(sql, values))

    async def known(self, path: str, inode: int) -> Sequence[PublishedFolder]:
        rows = await self._readers.fetch(KNOWN, (path, inode))
        return [folder_from(row) for row in rows]

    async def replace(self, replaced: Replaced) -> None:
        await self._writer.run(lambda tx: tx.send(REPLACE, replaced_values(replaced)))

    async def replaced(self, before: datetime, limit: int) -> Sequence[Replaced]:
        rows = await self._readers.fetch(DUE, (micros(before), limit))
        return [replaced_from(row) for row in rows]

    async def swept(self, replaced: Replaced) -> None:
        sql = "delete from replaced where path = %s and part = %s and at = %s"
        values = (replaced.path, replaced.part, micros(replaced.at))
        await self._writer.run(lambda tx: tx.send(sql, values))
