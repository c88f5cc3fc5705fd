"""In-memory access keys and audit trail of the reference store."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from secondunit.queue.ports.access import AUDIT_KEPT, AccessKey, AuditEntry
from secondunit.queue.value import replace


class MemoryAccessKeys:
    """Access keys by their prefixes."""

    def __init__(self) -> None:
        self._rows: dict[str, AccessKey] = {}

    async def add(self, key: AccessKey) -> bool:
        return self._rows.setdefault(key.prefix, key) is key

    async def all(self) -> Sequence[AccessKey]:
        return sorted(self._rows.values(), key=lambda key: (key.created_at, key.prefix))

    async def moves(self) -> int:
        return len(self._rows) + sum(key.revoked_at is not None for key in self._rows.values())

    async def revoke(self, prefix: str, at: datetime) -> AccessKey | None:
        if prefix not in self._rows:
            return None
        key = self._rows[prefix]
        self._rows[prefix] = key if key.revoked_at else replace(key, revoked_at=at)
        return self._rows[prefix]

    async def used(self, times: Mapping[str, datetime]) -> None:
        for prefix in times.keys() & self._rows.keys():
            key, at = self._rows[prefix], times[prefix]
            if key.last_used_at is None or key.last_used_at < at:
                self._rows[prefix] = replace(key, last_used_at=at)


class MemoryAuditTrail:
    """Entries in their order."""

    def __init__(self) -> None:
        self._rows: list[AuditEntry] = []
        self._last = 0

    async def add(self, entry: AuditEntry) -> int:
        self._last += 1
        self._rows.append(replace(entry, seq=self._last))
        return self._last

    async def finish(self, seq: int, detail: str) -> None:
        self._rows = [replace(entry, detail=detail) if entry.seq == seq else entry for entry in self._rows]

    async def withdraw(self, seq: int) -> None:
        self._rows = [entry for entry in self._rows if entry.seq != seq]

    async def find(self, cursor: int | None, limit: int, about: str | None = None) -> Sequence[AuditEntry]:
        return [
            entry
            for entry in reversed(self._rows)
            if (cursor is None or entry.seq < cursor)
            and (about is None or about in (entry.key, entry.action, entry.target))
        ][:limit]

    def forget(self, now: datetime, limit: int) -> None:
        """Forget so many of the entries that are too old."""
        old = [entry for entry in self._rows if entry.at < now - AUDIT_KEPT][:limit]
        self._rows = [entry for entry in self._rows if entry not in old]
