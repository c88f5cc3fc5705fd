"""API-key authentication: who calls, and the scopes of each."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Literal, Protocol

from aiohttp import web

Scope = Literal["read", "submit", "admin"]
EVERY_SCOPE: frozenset[Scope] = frozenset({"read", "submit", "admin"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a key, or anybody where there is none; `name` tells keys apart without showing them."""

    name: str
    scopes: frozenset[Scope]


CALLER = web.RequestKey("caller", Caller)


class Keys(Protocol):
    """The keys that are valid now."""

    @property
    def exist(self) -> bool:
        """Whether there is any; with none, everything is open."""
        ...

    async def find(self, presented: str) -> Caller | None:
        """Whose key this is; takes the same time for every wrong key."""
        ...


class OneKey:
    """The key of the API_KEY setting, with every scope."""

    def __init__(self, key: str | None) -> None:
        self._digest = None if key is None else _digest(key)

    @property
    def exist(self) -> bool:
        """Whether the setting is set."""
        return self._digest is not None

    async def find(self, presented: str) -> Caller | None:
        """The caller if this is the key; digests are compared, so neither length nor content shows in the time."""
        if self._digest is None or not hmac.compare_digest(_digest(presented), self._digest):
            return None
        return Caller("API_KEY", EVERY_SCOPE)


def presented_key(request: web.Request, *, in_query: bool) -> str | None:
    """The key a request carries: Bearer, X-API-Key and, where it may stand in the URL, `token`."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return bearer.strip()
    header = request.headers.get("X-API-Key")
    return header or (request.query.get("token") if in_query else None)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
