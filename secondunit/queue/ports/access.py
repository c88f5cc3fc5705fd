"""Access keys and audit trail: who may call, who changed what, and the ports that keep both."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from secondunit.queue.value import Value

AUDIT_KEPT = timedelta(days=90)


class AccessKey(Value, frozen=True):
    """A key as it is kept: never itself, but its SHA-256, found by its public `prefix`.

    `types` are the only job types that may be submitted under it, None is all; `rate` reads like `600/minute`.
    """

    prefix: str
    digest: bytes
    name: str
    scopes: Sequence[str]
    created_at: datetime
    types: Sequence[str] | None = None
    rate: str | None = None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


class AuditEntry(Value, frozen=True):
    """A call that changed something: by which key (None: without one), from where, what, and to what; `seq` orders."""

    at: datetime
    key: str | None
    address: str
    action: str
    target: str | None = None
    detail: str | None = None
    seq: int = 0


class AccessKeys(Protocol):
    """The keys, those that are revoked or over too: no prefix ever comes back as somebody else's."""

    async def add(self, key: AccessKey) -> bool:
        """Store a new key; False if its prefix is taken, and then nothing is changed."""
        ...

    async def all(self) -> Sequence[AccessKey]:
        """All of them, oldest first."""
        ...

    async def moves(self) -> int:
        """How often a key was made or revoked: another number than before says that there is something to read."""
        ...

    async def revoke(self, prefix: str, at: datetime) -> AccessKey | None:
        """End a key, and return it; one that was revoked before stays as it is. None: there is no such key."""
        ...

    async def used(self, times: Mapping[str, datetime]) -> None:
        """Note when keys, by their prefixes, were last used."""
        ...


class AuditTrail(Protocol):
    """Who changed what, for AUDIT_KEPT; the store's `prune` forgets what is older."""

    async def add(self, entry: AuditEntry) -> int:
        """Store an entry, under the next number, which is returned."""
        ...

    async def finish(self, seq: int, detail: str) -> None:
        """Say in the entry of something that was begun what came of it."""
        ...

    async def withdraw(self, seq: int) -> None:
        """Take the entry of something back that came to nothing."""
        ...

    async def find(self, cursor: int | None, limit: int, about: str | None = None) -> Sequence[AuditEntry]:
        """Entries newest first, those before `cursor`; with `about`, those whose key, action or target is that."""
        ...
