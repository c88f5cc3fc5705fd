"""Tables of access keys and of the audit trail."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from secondunit.queue.ports.access import AUDIT_KEPT, AccessKey, AuditEntry
from secondunit.queue.stores.port_rows import (
    ACCESS_KEY,
    ACCESS_KEY_COLUMNS,
    AUDIT,
    AUDIT_COLUMNS,
    access_key_from,
    access_key_values,
    audit_entry_from,
    audit_values,
)
from secondunit.queue.stores.rows import micros
from secondunit.queue.stores.sqlite.readers import Readers
from secondunit.queue.stores.sqlite.transaction import Transaction
from secondunit.queue.stores.sqlite.writer import Writer

INSERT_KEY = f"insert or ignore into access_keys ({ACCESS_KEY_COLUMNS}) values ({', '.join('?' * len(ACCESS_KEY))})"
ALL_KEYS = f"select {ACCESS_KEY_COLUMNS} from access_keys order by created_at, prefix"
MOVES = "select count(*) + count(revoked_at) from access_keys"  # no row ever goes
REVOKE = f"""
update access_keys
set revoked_at = coalesce(revoked_at, ?)
where prefix = ?
returning {ACCESS_KEY_COLUMNS}"""
USED = "update access_keys set last_used_at = ?1 where prefix = ?2 and coalesce(last_used_at, 0) < ?1"
INSERT_ENTRY = f"insert into audit ({AUDIT_COLUMNS}) values ({', '.join('?' * len(AUDIT))})"
ENTRIES = f"select {AUDIT_COLUMNS}, seq from audit where seq < ? order by seq desc limit ?"
ENTRIES_ABOUT = f"""
select {AUDIT_COLUMNS}, seq
from audit
where seq < ? and ? in (key, action, target)
order by seq desc
limit ?"""
FORGET = "delete from audit where seq in (select seq from audit where at < ? order by at limit ?)"
FAR = 2**62


class SqliteAccessKeys:
    """The AccessKeys port; see `secondunit.queue.ports.access.AccessKeys`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def add(self, key: AccessKey) -> bool:
        return await self._writer.run(lambda tx: tx.execute(INSERT_KEY, access_key_values(key)).rowcount > 0)

    async def all(self) -> Sequence[AccessKey]:
        return [access_key_from(row) for row in await self._readers.fetch(ALL_KEYS, ())]

    async def moves(self) -> int:
        [[moves]] = await self._readers.fetch(MOVES, ())
        return int(moves)

    async def revoke(self, prefix: str, at: datetime) -> AccessKey | None:
        rows = await self._writer.run(lambda tx: tx.execute(REVOKE, (micros(at), prefix)).fetchall())
        return access_key_from(rows[0]) if rows else None

    async def used(self, times: Mapping[str, datetime]) -> None:
        rows = [(micros(at), prefix) for prefix, at in times.items()]
        await self._writer.run(lambda tx: tx.executemany(USED, rows))


class SqliteAuditTrail:
    """The AuditTrail port; see `secondunit.queue.ports.access.AuditTrail`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def add(self, entry: AuditEntry) -> int:
        return await self._writer.run(lambda tx: tx.execute(INSERT_ENTRY, audit_values(entry)).lastrowid or 0)

    async def finish(self, seq: int, detail: str) -> None:
        await self._writer.run(lambda tx: tx.execute("update audit set detail = ? where seq = ?", (detail, seq)))

    async def withdraw(self, seq: int) -> None:
        await self._writer.run(lambda tx: tx.execute("delete from audit where seq = ?", (seq,)))

    async def find(self, cursor: int | None, limit: int, about: str | None = None) -> Sequence[AuditEntry]:
        before = FAR if cursor is None else cursor
        if about is None:
            rows = await self._readers.fetch(ENTRIES, (before, limit))
        else:
            rows = await self._readers.fetch(ENTRIES_ABOUT, (before, about, limit))
        return [audit_entry_from(row) for row in rows]


def forget_old(tx: Transaction, now: datetime, limit: int) -> None:
    """Delete a slice of the entries that are too old."""
    tx.execute(FORGET, (micros(now - AUDIT_KEPT), limit))
