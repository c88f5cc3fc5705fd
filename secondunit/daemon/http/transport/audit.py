"""Audit trail of a call: what it changed, as its endpoint says it, under the caller's key and address."""

from typing import NamedTuple

from aiohttp import web

from secondunit.daemon.access.callers import Caller
from secondunit.queue.clock import Clock
from secondunit.queue.ports.access import AuditEntry, AuditTrail


class Note(NamedTuple):
    """What was changed; no `action`: the route's own word."""

    target: str | None
    detail: str | None
    action: str | None


class Scribe:
    """Writes entries for one call at once, for what takes its time and may be cut off; `action` is the call's word."""

    def __init__(self, trail: AuditTrail, clock: Clock, caller: Caller, address: str, action: str) -> None:
        self._trail = trail
        self._clock = clock
        self._caller = caller
        self._address = address
        self._action = action

    async def write(self, target: str | None = None, detail: str | None = None, action: str | None = None) -> int:
        """Store an entry; its number."""
        now, word = self._clock.now(), action or self._action
        entry = AuditEntry(now, self._caller.name, self._address, word, target, self._whole(detail))
        return await self._trail.add(entry)

    async def finish(self, seq: int, detail: str) -> None:
        """Say in an entry what came of it."""
        await self._trail.finish(seq, self._whole(detail) or "")

    async def withdraw(self, seq: int) -> None:
        """Take an entry back: nothing came of it."""
        await self._trail.withdraw(seq)

    def _whole(self, detail: str | None) -> str | None:
        """With the key's prefix: several keys may have one name."""
        by = self._caller.prefix and f"by key {self._caller.prefix}"
        return "; ".join(part for part in (detail, by) if part) or None


SCRIBE = web.RequestKey("writes its audit trail", Scribe)
NOTES = web.RequestKey("what it changed", list[Note])


def note(request: web.Request, target: str | None = None, detail: str | None = None, action: str | None = None) -> None:
    """This call changed something; stored before it is answered."""
    request.setdefault(NOTES, []).append(Note(target, detail, action))
