"""Backup rotation: where copies of the database go, which are kept, which were read back whole, and where the last is.

That one was read back stands in a note beside it, `NAME.verified`, and holds while the copy is as it was then.
"""

import asyncio
import json
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from secondunit.queue.errors import BadPayload, FieldError, StoreFull
from secondunit.queue.ports.cache import Cache, CacheEntry
from secondunit.queue.ports.engine import Engine, Snapshot
from secondunit.queue.store import Store
from secondunit.queue.value import Value

LAST, REMEMBERED, NO_JOB = "backup:last", timedelta(days=3650), ""
OURS = re.compile(r"secondunit-[0-9]{8}T[0-9]{6}\.[0-9]{3}Z\.db")
LARGEST_NOTE = 10_000


class Copy(Value, frozen=True):
    """A copy of the database: when it was made, and when it was read back whole (None: never, as it is now)."""

    path: Path
    made: datetime
    verified: datetime | None


async def take(
    store: Store, target: Path, keep: int | None, now: datetime, secrets: Mapping[str, Collection[str]]
) -> Snapshot:
    """Copy the database to a file, or into a folder under a name of its time, where the `keep` newest stay.

    Raises BadPayload for a target that can't be one, StoreBroken or StoreFull when the copy fails.
    """
    file = await asyncio.to_thread(_file, store.engine, target, keep, now)
    snapshot = await store.engine.snapshot(file, secrets)
    with suppress(OSError):  # the copy is there and whole; that it was checked is then not known
        await asyncio.to_thread(note_verified, file, now)
    if keep is not None:
        await asyncio.to_thread(_forget, target, keep)
    with suppress(StoreFull):  # the copy is there, and that is what counts
        await store.cache.put(CacheEntry(LAST, {"path": str(file)}, NO_JOB, now, now + REMEMBERED))
    return snapshot


async def last(cache: Cache, now: datetime) -> Copy | None:
    """The newest copy that was made of this database; None while there is none, or where it is gone."""
    entry = await cache.get(LAST, now)
    return await asyncio.to_thread(newest, Path(entry.value["path"])) if entry else None


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
        _note(file).unlink(missing_ok=True)


def newest(place: Path) -> Copy | None:
    """The newest copy in a folder, or the one that `place` is; None where there is none. Blocks."""
    if place.is_file():
        return _copy(place)
    copies = [file for file in place.glob("*.db") if file.is_file()] if place.is_dir() else []
    return max(map(_copy, copies), key=lambda copy: copy.made, default=None)


def note_verified(file: Path, now: datetime) -> None:
    """Note that the copy was read back, whole. Blocks."""
    partial = _note(file).with_name(f".{_note(file).name}.partial")
    partial.write_text(json.dumps({"at": now.isoformat(), **_seen(file)}), "utf-8")
    partial.rename(_note(file))


def _copy(file: Path) -> Copy:
    return Copy(file, datetime.fromtimestamp(file.stat().st_mtime, UTC), _verified(file))


def _verified(file: Path) -> datetime | None:
    try:
        with _note(file).open(encoding="utf-8") as note:
            said = json.loads(note.read(LARGEST_NOTE))
        same = {name: said[name] for name in ("size", "modified")} == _seen(file)
        return datetime.fromisoformat(said["at"]) if same else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _seen(file: Path) -> Mapping[str, int]:
    status = file.stat()
    return {"size": status.st_size, "modified": status.st_mtime_ns}


def _note(file: Path) -> Path:
    return file.with_name(f"{file.name}.verified")
