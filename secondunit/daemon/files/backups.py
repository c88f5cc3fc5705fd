"""Where backups go and which of them are kept."""

import re
from datetime import datetime
from pathlib import Path

from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.stores.sqlite.backup import Snapshot, back_up

OURS = re.compile(r"secondunit-\d{8}T\d{6}\.\d{3}Z\.db")


def take(database: Path, target: Path, keep: int | None, now: datetime) -> Snapshot:
    """Copy the database to a file, or into a folder under a name of its time, where the `keep` newest stay. Blocks.

    Raises BadPayload for a target that can't be one, StoreBroken or StoreFull when the copy fails.
    """
    if not target.is_absolute():
        raise BadPayload(FieldError("path", f"{target} is not absolute"))
    if not target.is_dir():
        if keep is not None:
            raise BadPayload(FieldError("keep", f"{target} is no folder; only a folder holds more than one backup"))
        return back_up(database, _no_part_of(database, target))
    snapshot = back_up(database, target / f"secondunit-{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03}Z.db")
    if keep is not None:
        _forget(target, keep)
    return snapshot


def _no_part_of(database: Path, target: Path) -> Path:
    if not target.parent.is_dir():
        raise BadPayload(FieldError("path", f"{target.parent} is no folder"))
    if target.parent.resolve() == database.parent.resolve() and target.name.startswith(database.name):
        raise BadPayload(FieldError("path", f"{target} is the database, or named like its parts; choose another name"))
    return target


def _forget(folder: Path, keep: int) -> None:
    """Remove the oldest of our own naming; their names sort by time."""
    ours = sorted(file for file in folder.iterdir() if OURS.fullmatch(file.name))
    for file in ours[:-keep]:
        file.unlink()
