"""Backup rotation: where copies of the database go, which of them are kept, and when the newest one was made."""

import asyncio
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from secondunit.queue.engine import Engine, Snapshot
from secondunit.queue.errors import BadPayload, FieldError, StoreFull
from secondunit.queue.store import Cache, CacheEntry, Store

OURS = re.compile(r"secondunit-[0-9]{8}T[0-9]{6}\.[0-9]{3}Z\.db")
LAST, REMEMBERED, NO_JOB = "backup:last", timedelta(days=3650), ""


@dataclass(frozen=True, slots=True)
class LastBackup:
    """When the newest copy of the database was made, and whether it was read again and found whole."""

    at: datetime
    verified: bool


async def take(
    store: Store, target: Path, keep: int | None, now: datetime, secrets: Mapping[str, Collection[str]]
) -> Snapshot:
    """Copy the database to a file, or into a folder under a name of its time, where the `keep` newest stay.

    Raises BadPayload for a target that can't be one, StoreBroken or StoreFull when the copy fails.
    """
    file = await asyncio.to_thread(_file, store.engine, target, keep, now)
    snapshot = await store.engine.snapshot(file, secrets)  # which is checked before it gets its name
    if keep is not None:
        await asyncio.to_thread(_forget, target, keep)
    with suppress(StoreFull):  # the copy is there, and that is what counts
        noted = {"at": now.timestamp(), "path": str(file), "verified": True}
        await store.cache.put(CacheEntry(LAST, noted, NO_JOB, now, now + REMEMBERED))
    return snapshot


async def last(cache: Cache, now: datetime) -> LastBackup | None:
    """The newest copy that was made of this database; None while there is none."""
    entry = await cache.get(LAST, now)
    return LastBackup(datetime.fromtimestamp(entry.value["at"], UTC), entry.value["verified"]) if entry else None


def _file(engine: Engine, target: Path, keep: int | None, now: datetime) -> Path:
    if not target.is_absolute():
        raise BadPayload(FieldError("path", f"{target} is not absolute"))
    if target.is_dir():
        return target / f"secondunit-{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03}Z.db"
    if keep is not None:
        raise BadPayload(FieldError("keep", f"{target} is no folder; only a folder holds more than one backup"))
    if not target.parent.is_dir():
        raise BadPayload(FieldError("path", f"{target.parent} is no folder"))
    if engine.owns(target):
        raise BadPayload(FieldError("path", f"{target} is the database, or named like its parts; choose another name"))
    return target


def _forget(folder: Path, keep: int) -> None:
    """Remove the oldest of our own naming; their names sort by time."""
    ours = sorted(file for file in folder.iterdir() if OURS.fullmatch(file.name))
    for file in ours[:-keep]:
        file.unlink()
