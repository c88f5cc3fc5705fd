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
from secondunit.queue.stores.postgres.readers import PostgresReaders
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.queue.stores.postgres.writer import PostgresWriter
from secondunit.queue.stores.rows import micros

INSERT_KEY = f"""
insert into access_keys ({ACCESS_KEY_COLUMNS}) values ({", ".join(["%s"] * len(ACCESS_KEY))})
on conflict do nothing
returning 1"""
ALL_KEYS = f"select {ACCESS_KEY_COLUMNS} from access_keys order by created_at, prefix"
MOVES = "select count(*) + count(revoked_at) from access_keys"  # no row ever goes
REVOKE = f"""
update access_keys
set revoked_at = coalesce(revoked_at, %s)
where prefix = %s
returning {ACCESS_KEY_COLUMNS}"""
USED = """
update access_keys
set last_used_at = greatest(coalesce(last_used_at, 0), %s)
where prefix = %s"""
INSERT_ENTRY = f"insert into audit ({AUDIT_COLUMNS}) values ({', '.join(['%s'] * len(AUDIT))}) returning seq"
ENTRIES = f"select {AUDIT_COLUMNS}, seq from audit where seq < %s order by seq desc limit %s"
ENTRIES_ABOUT = f"""
select {AUDIT_COLUMNS}, seq
from audit
where seq < %s and %s in (key, action, target)
order by seq desc
limit %s"""
FORGET = "delete from audit where seq in (select seq from audit where at < %s order by at limit %s)"
FAR = 2**62


class PostgresAccessKeys:
    """The AccessKeys port; see `secondunit.queue.ports.access.AccessKeys`."""

    def __init__(self, writer: PostgresWriter, readers: PostgresReaders) -> None:
        self._writer = writer
        self._readers = readers

    async def add(self, key: AccessKey) -> bool:
        return await self._writer.run(lambda tx: bool(tx.write(INSERT_KEY, access_key_values(key))))

    async def all(self) -> Sequence[AccessKey]:
        return [access_key_from(row) for row in await self._readers.fetch(ALL_KEYS, ())]

    async def moves(self) -> int:
        [[moves]] = await self._readers.fetch(MOVES, ())
        return int(moves)

    async def revoke(self, prefix: str, at: datetime) -> AccessKey | None:
        rows = await self._writer.run(lambda tx: tx.write(REVOKE, (micros(at), prefix)))
        return access_key_from(rows[0]) if rows else None

    async def used(self, times: Mapping[str, datetime]) -> None:
        def work(tx: PostgresTransaction) -> None:
            for prefix, at in sorted(times.items()):
                tx.send(USED, (micros(at), prefix))

        await self._writer.run(work)


class PostgresAuditTrail:
    """The AuditTrail port; see `secondunit.queue.ports.access.AuditTrail`."""

    def __init__(self, writer: PostgresWriter, readers: PostgresReaders) -> None:
        self._writer = writer
        self._readers = readers

    async def add(self, entry: AuditEntry) -> int:
        return await self._writer.run(lambda tx: int(tx.write(INSERT_ENTRY, audit_values(entry))[0][0]))

    async def finish(self, seq: int, detail: str) -> None:
        await self._writer.run(lambda tx: tx.send("update audit set detail = %s where seq = %s", (detail, seq)))

    async def withdraw(self, seq: int) -> None:
        await self._writer.run(lambda tx: tx.send("delete from audit where seq = %s", (seq,)))

    async def find(self, cursor: int | None, limit: int, about: str | None = None) -> Sequence[AuditEntry]:
        before = FAR if cursor is None else cursor
        if about is None:
            rows = await self._readers.fetch(ENTRIES, (before, limit))
        else:
            rows = await self._readers.fetch(ENTRIES_ABOUT, (before, about, limit))
        return [audit_entry_from(row) for row in rows]


def forget_old(tx: PostgresTransaction, now: datetime, limit: int) -> None:
    """Delete a slice of the entries that are too old."""
    tx.send(FORGET, (micros(now - AUDIT_KEPT), limit))
