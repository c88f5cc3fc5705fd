"""Access keys and the audit trail on the wire: what is asked for, and what is told."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from secondunit.daemon.access.callers import Scope
from secondunit.daemon.access.keyring import NewKey
from secondunit.daemon.config.value_forms import RATE
from secondunit.daemon.formats import instant
from secondunit.daemon.http.contract.requests import Ask, TypeName
from secondunit.daemon.http.contract.responses import Answer, Time
from secondunit.daemon.http.written_values import Digits, Instant, printable
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.ports.access import AccessKey, AuditEntry

RESERVED = ("API_KEY", "backend", "schedule")
MOST = 1000


def _name(value: str) -> str:
    if printable(value).split(maxsplit=1)[0] in RESERVED:
        raise ValueError(f"is taken: {', '.join(RESERVED)} name who else submits jobs")
    return value


def _rate(value: str) -> str:
    if not RATE.fullmatch(value):
        raise ValueError("should be N/second, N/minute, N/hour or N/day")
    return value


ScopeName = Literal["read", "submit", "admin", "work"]


class KeyAsk(Ask):
    """A key to be made: for whom, for what, until when, and how often it may be used."""

    name: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_name)]
    scopes: Annotated[list[ScopeName], Field(min_length=1, max_length=10)]
    types: Annotated[list[TypeName], Field(min_length=1, max_length=MOST)] | None = Field(
        None, description="the only job types that it submits, or leases"
    )
    expires_at: Instant | None = Field(None, description="from then on it is no key")
    rate: Annotated[str, AfterValidator(_rate)] | None = Field(
        None, description="N/second, N/minute, N/hour or N/day, in place of RATE_LIMIT"
    )


class AuditQuery(Ask):
    """How many entries, before which, and about what."""

    limit: Annotated[int, Field(ge=1, le=MOST), Digits] = 100
    cursor: Annotated[int, Field(ge=1, lt=2**63), Digits] | None = None
    about: str | None = Field(None, max_length=200, description="only entries whose key, action or target is this")


class MadeKey(Answer):
    """A new key: the only answer that has `key`, which is not kept."""

    key: str
    prefix: str
    name: str
    scopes: list[str]
    types: list[str] | None
    created_at: Time
    expires_at: Time | None
    rate: str | None


class KnownKey(Answer):
    """A key as it is kept. `last_used_at` is stored about once a minute."""

    prefix: str
    name: str
    scopes: list[str]
    types: list[str] | None
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None
    revoked_at: Time | None
    rate: str | None


class KnownKeys(Answer):
    """Every key that was ever made, oldest first."""

    keys: list[KnownKey]


class Audited(Answer):
    """A call that changed something: `key` is its name, null without one; `address` where it came from."""

    at: Time
    key: str | None
    address: str
    action: str
    target: str | None
    detail: str | None


class AuditTrail(Answer):
    """Entries newest first."""

    entries: list[Audited]
    next_cursor: str | None


def new_key(ask: KeyAsk, now: datetime, types: Iterable[str] | None = None) -> NewKey:
    """The key that is asked for; BadPayload for one that is over already, or for a type that is none of `types`."""
    faults = []
    if ask.expires_at is not None and ask.expires_at <= now:
        faults.append(FieldError("expiresAt", "has passed; name a time to come"))
    known = None if types is None else frozenset(types)
    for index, type in enumerate(ask.types or ()):
        if known is not None and type not in known:
            faults.append(FieldError(f"types.{index}", f"is no job type; known are {', '.join(sorted(known))}"))
    if faults:
        raise BadPayload(*faults)
    scopes: Sequence[Scope] = list(dict.fromkeys(ask.scopes))
    return NewKey(ask.name, scopes, ask.types and list(dict.fromkeys(ask.types)), ask.expires_at, ask.rate)


def made(text: str, key: AccessKey) -> MadeKey:
    """A key, shown once."""
    return MadeKey(
        text, key.prefix, key.name, list(key.scopes), _types(key), instant(key.created_at), instant(key.expires_at),
        key.rate,
    )  # fmt: skip


def known(key: AccessKey) -> KnownKey:
    """A key without itself."""
    return KnownKey(
        key.prefix, key.name, list(key.scopes), _types(key), instant(key.created_at), instant(key.expires_at),
        instant(key.last_used_at), instant(key.revoked_at), key.rate,
    )  # fmt: skip


def keys(found: Iterable[AccessKey]) -> KnownKeys:
    """All keys."""
    return KnownKeys([known(key) for key in found])


def about(key: AccessKey) -> str:
    """A key in a line, for the audit trail."""
    types = f"; types {', '.join(key.types)}" if key.types else ""
    until = f"; until {instant(key.expires_at)}" if key.expires_at else ""
    rate = f"; {key.rate}" if key.rate else ""
    return f"{key.name}: {', '.join(key.scopes)}{types}{until}{rate}"


def audit(entries: Sequence[AuditEntry], limit: int) -> AuditTrail:
    """A page of the audit trail; `entries` may hold one more than fits on it."""
    told = [
        Audited(instant(entry.at), entry.key, entry.address, entry.action, entry.target, entry.detail)
        for entry in entries[:limit]
    ]
    return AuditTrail(told, str(entries[limit - 1].seq) if len(entries) > limit else None)


def _types(key: AccessKey) -> list[str] | None:
    return None if key.types is None else list(key.types)
