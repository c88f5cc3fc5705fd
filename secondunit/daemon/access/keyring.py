"""Keyring: the access keys that are valid now, held in memory; made, found and revoked."""

import hmac
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import cast

from secondunit.daemon.access.callers import EVERY_SCOPE, Caller, Scope
from secondunit.daemon.access.key_text import digest_of, new_key, prefix_of
from secondunit.queue.clock import Clock, Random
from secondunit.queue.errors import StoreFull
from secondunit.queue.ports.access import AccessKey, AccessKeys
from secondunit.queue.value import Value, replace

EVERY = 1.0
NOTE_EVERY = 60.0
NO_DIGEST = bytes(32)
SETTING = "API_KEY"


class NewKey(Value, frozen=True):
    """A key as it is asked for; see `AccessKey`."""

    name: str
    scopes: Sequence[Scope]
    types: Sequence[str] | None = None
    expires_at: datetime | None = None
    rate: str | None = None


class HeldKey(Value, frozen=True):
    """A key that is valid until it expires, as it is kept in memory."""

    digest: bytes
    expires_at: datetime | None
    caller: Caller


class Keyring:
    """The keys of the database, and the one of the API_KEY setting, which has every scope.

    It is the one place of this process that changes keys, so what it holds is what is stored.
    """

    def __init__(self, store: AccessKeys, setting: str | None, clock: Clock, random: Random) -> None:
        self._store = store
        self._setting = None if setting is None else digest_of(setting)
        self._clock = clock
        self._random = random
        self._held: dict[str, HeldKey] = {}
        self._used: dict[str, datetime] = {}
        self._noted_at = clock.monotonic()
        self._any = False
        self._listeners: list[Callable[[str], None]] = []

    @property
    def exist(self) -> bool:
        """Whether callers need a key: since one was set or made, be it revoked, so that revoking opens nothing."""
        return self._any or self._setting is not None

    def listen(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with the id of each caller that is let in no more: "" means all those without a key."""
        self._listeners.append(listener)

    async def load(self) -> None:
        """Read what is stored."""
        stored, now = await self._store.all(), self._clock.now()
        self._any = bool(stored)
        self._held = {key.prefix: _held(key) for key in stored if key.revoked_at is None and not _over(key, now)}

    def find(self, presented: str) -> Caller | None:
        """Whose key this is; the same is done, and takes as long, for every wrong one."""
        digest, prefix = digest_of(presented), prefix_of(presented) or ""
        held = self._held.get(prefix)
        known = hmac.compare_digest(digest, held.digest if held else NO_DIGEST)
        if self._setting is not None and hmac.compare_digest(digest, self._setting):
            return Caller(SETTING, EVERY_SCOPE, SETTING)
        now = self._clock.now()
        if held is None or not known or _over(held, now):
            return None
        self._used[prefix] = now
        return held.caller

    def held(self, id: str) -> HeldKey | None:
        """What is held of the valid key with this caller's id, as who proved before to have it uses it again."""
        if id == SETTING:
            return (
                None if self._setting is None else HeldKey(self._setting, None, Caller(SETTING, EVERY_SCOPE, SETTING))
            )
        held, now = self._held.get(id), self._clock.now()
        if held is None or _over(held, now):
            return None
        self._used[id] = now
        return held

    async def issue(self, wanted: NewKey) -> tuple[str, AccessKey]:
        """A new key, which nobody can read again, and what is kept of it."""
        while True:
            text = new_key(self._random)
            made = AccessKey(
                prefix_of(text) or "", digest_of(text), wanted.name, list(wanted.scopes), self._clock.now(),
                types=None if wanted.types is None else list(wanted.types), rate=wanted.rate,
                expires_at=wanted.expires_at,
            )  # fmt: skip
            if await self._store.add(made):
                if not self.exist:
                    self._tell("")
                self._any = True
                self._held[made.prefix] = _held(made)
                return text, made

    async def all(self) -> Sequence[AccessKey]:
        """Every key that ever was, as it stands, oldest first."""
        used = self._used
        return [
            replace(key, last_used_at=used[key.prefix]) if key.prefix in used else key
            for key in await self._store.all()
        ]

    async def revoke(self, prefix: str) -> AccessKey | None:
        """End a key, here and now; None if there is no such key."""
        key = await self._store.revoke(prefix, self._clock.now())
        if key is not None:
            self._end(prefix)
        return key

    async def run(self) -> None:
        """End keys whose time is over, and now and then note which were used: for ever."""
        while True:
            await self._clock.sleep(EVERY)
            now = self._clock.now()
            for prefix in [prefix for prefix, held in self._held.items() if _over(held, now)]:
                self._end(prefix)
            if self._clock.monotonic() - self._noted_at >= NOTE_EVERY:
                await self.note()

    async def note(self) -> None:
        """Store which keys were used since this was last done."""
        self._noted_at = self._clock.monotonic()
        used, self._used = self._used, {}
        try:
            if used:
                await self._store.used(used)
        except StoreFull:
            self._used = used | self._used

    def _end(self, prefix: str) -> None:
        self._held.pop(prefix, None)
        self._tell(prefix)

    def _tell(self, id: str) -> None:
        for listener in self._listeners:
            listener(id)


def _held(key: AccessKey) -> HeldKey:
    scopes = frozenset(cast(Sequence[Scope], key.scopes))
    types = None if key.types is None else frozenset(key.types)
    return HeldKey(key.digest, key.expires_at, Caller(key.prefix, scopes, key.name, key.prefix, types, key.rate))


def _over(key: AccessKey | HeldKey, now: datetime) -> bool:
    return key.expires_at is not None and key.expires_at <= now
