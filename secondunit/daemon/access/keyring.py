"""Keyring: the access keys that are valid now, held in memory; made, found and revoked.

Where several daemons share a queue, each looks what the others changed before it answers a caller, unless it did so
just before; and who changes a key is told so only once all of them have to look again.
"""

import asyncio
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
FRESH = 0.25  # seconds for which a look at what other daemons changed is good
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

    It is the one place of this process that changes keys; if they are `shared`, other processes do so, too.
    """

    def __init__(
        self, store: AccessKeys, setting: str | None, clock: Clock, random: Random, *, shared: bool = False
    ) -> None:
        self._store = store
        self._shared = shared
        self._looking = asyncio.Lock()
        self._looked_at = clock.monotonic()
        self._moves = 0
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
        """Read what is stored, and tell of what is valid no more."""
        self._moves = await self._store.moves()
        stored, now = await self._store.all(), self._clock.now()
        before, none = self._held, not self.exist
        self._any = bool(stored)
        self._held = {key.prefix: _held(key) for key in stored if key.revoked_at is None and not _over(key, now)}
        if none and self.exist:
            self._tell("")
        for prefix in before.keys() - self._held.keys():
            self._tell(prefix)

    async def catch_up(self) -> None:
        """Know what other daemons changed, but for the last moment, which they wait for."""
        if self._shared and self._looked_at <= (since := self._clock.monotonic() - FRESH):
            await self._look(since)

    async def caller(self, presented: str) -> Caller | None:
        """Whose key this is, be it made by another daemon just now."""
        found = self.find(presented)
        if found is None and self._shared and prefix_of(presented):
            await self._look(self._clock.monotonic())
            found = self.find(presented)
        return found

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
                first = not self.exist
                self._any = True
                self._held[made.prefix] = _held(made)
                if first:
                    self._tell("")
                    await self._told_others()
                return text, made

    async def all(self) -> Sequence[AccessKey]:
        """Every key that ever was, as it stands, oldest first."""
        used = self._used
        return [
            replace(key, last_used_at=used[key.prefix]) if key.prefix in used else key
            for key in await self._store.all()
        ]

    async def revoke(self, prefix: str) -> AccessKey | None:
        """End a key, for every call from now on, to whichever daemon; None if there is no such key."""
        if prefix in self._used:  # who revokes a key asks when it was last used
            await self.note()
        key = await self._store.revoke(prefix, self._clock.now())
        if key is not None:
            self._end(prefix)
            await self._told_others()
        return key

    async def run(self) -> None:
        """End keys whose time is over, and now and then note which were used: for ever."""
        while True:
            await self._clock.tick(EVERY)
            await self.catch_up()
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

    async def _look(self, since: float) -> None:
        """See what is stored, unless that was looked at after that moment; those who want it together look once."""
        async with self._looking:
            if self._looked_at > since:
                return
            at = self._clock.monotonic()
            if await self._store.moves() != self._moves:
                await self.load()
            self._looked_at = at

    async def _told_others(self) -> None:
        """Wait until what every other daemon saw before is too old for it."""
        if self._shared:
            await self._clock.sleep(FRESH)

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
