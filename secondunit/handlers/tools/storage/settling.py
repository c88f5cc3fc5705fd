"""Settling of inputs: a file that was seen to change under a run is read again only once it has been still for a while.

What is known of it lies with the job, so that it outlives each postponement.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.storage.ports import Files, Source
from secondunit.queue.clock import Clock
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic, Postponed, Transient
from secondunit.queue.value import Value

NOTE = "changed-input.json"
PATIENCE = timedelta(hours=1)
# The longer it has been changing, the more seldom it is looked at.
SHARE, SELDOM = 10, timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Sighting:
    """An input that changed: what it was like when last seen to change, when that was, and since when it does so."""

    identity: str
    seen: float
    since: float


class Settling(Value, frozen=True):
    """Watches inputs of runs; `still` is how long one that changed must not have done so."""

    files: Files
    clock: Clock
    still: timedelta

    @asynccontextmanager
    async def unchanged(self, path: str, source: Source, ctx: JobContext) -> AsyncIterator[None]:
        """What is made inside is worth something only if the input at `path` stays what `source` is.

        Postponed if it changes, and before anything is done while it has not settled since; Transient("source_changed")
        after an hour of changes. What is found wrong with an input that changed may be right once it has settled.
        """
        note = ctx.workspace.kept / NOTE
        known = await in_thread(_read, note)
        if known and (known.identity != source.identity or self._left(known, self.still) > timedelta()):
            await self._wait(note, known, source.identity, source.name)
        try:
            yield
        except Deterministic:
            await self._confirm(path, source, note, known)
            raise
        await self._confirm(path, source, note, known)

    async def _confirm(self, path: str, source: Source, note: Path, known: Sighting | None) -> None:
        identity = await self.files.identity(path)
        if identity not in (None, source.identity):
            await self._wait(note, known, identity or "", source.name)

    async def _wait(self, note: Path, known: Sighting | None, identity: str, name: str) -> None:
        now = self.clock.now().timestamp()
        since = known.since if known else now
        changed = timedelta(seconds=now - since)
        if changed >= PATIENCE:
            await in_thread(_write, note, Sighting(identity, now, now))
            raise Transient(f"{name} has been changing for an hour", type="source_changed")
        if known is None or known.identity != identity:
            known = Sighting(identity, now, since)
            await in_thread(_write, note, known)
        pause = self._left(known, max(self.still, min(SELDOM, changed / SHARE)))
        raise Postponed(f"source_changed: {name} is still being written", delay=pause)

    def _left(self, known: Sighting, wait: timedelta) -> timedelta:
        gone = timedelta(seconds=self.clock.now().timestamp() - known.seen)
        return max(timedelta(), wait - max(timedelta(), gone))


def _read(note: Path) -> Sighting | None:
    try:
        return Sighting(**json.loads(note.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _write(note: Path, sighting: Sighting) -> None:
    note.write_text(json.dumps(asdict(sighting)))
