"""Browser sessions: a random id in a cookie stands for an access key, for as long as that key is valid.

What is kept of it, in the store's cache so that it outlives a restart, is the SHA-256 of the id, and a proof that binds
it to the key as it was: neither opens anything, and another API_KEY ends the sessions of the one before.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from datetime import timedelta

from secondunit.daemon.access.callers import Caller
from secondunit.daemon.access.keyring import Keyring
from secondunit.queue.clock import Clock, Random
from secondunit.queue.ports.cache import Cache, CacheEntry

LIFE = timedelta(days=7)
ID_BYTES = 32
NO_JOB = ""


class Sessions:
    """The sessions of all browsers."""

    def __init__(self, cache: Cache, keys: Keyring, clock: Clock, random: Random) -> None:
        self._cache = cache
        self._keys = keys
        self._clock = clock
        self._random = random

    async def begin(self, key: str) -> str | None:
        """The id of a new session under this key, for its browser alone; None if it is no valid key."""
        caller = await self._keys.caller(key)
        held = self._keys.held(caller.id) if caller else None
        if held is None:
            return None
        id, now = urlsafe_b64encode(self._random.randbytes(ID_BYTES)).decode().rstrip("="), self._clock.now()
        kept = {"key": held.caller.id, "proof": _proof(id, held.digest)}
        await self._cache.put(CacheEntry(_name(id), kept, NO_JOB, now, now + LIFE))
        return id

    async def caller(self, id: str) -> Caller | None:
        """Who began this session, if it goes on and the key is valid still."""
        entry = await self._cache.get(_name(id), self._clock.now())
        held = self._keys.held(entry.value["key"]) if entry else None
        if entry is None or held is None or not hmac.compare_digest(entry.value["proof"], _proof(id, held.digest)):
            return None
        return held.caller

    async def end(self, id: str) -> None:
        """End it."""
        await self._cache.drop(_name(id))


def _name(id: str) -> str:
    return f"session {hashlib.sha256(id.encode('utf-8', 'surrogateescape')).hexdigest()}"


def _proof(id: str, digest: bytes) -> str:
    """That the session began under the key with this digest; without the id, which is not kept, it tells nothing."""
    return hashlib.sha256(id.encode("utf-8", "surrogateescape") + digest).hexdigest()
