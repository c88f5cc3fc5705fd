"""Grace period of replaced files: what a new folder no longer has stays readable in it for a while. Blocking.

A player goes on reading the playlist that it began with. Its files are linked into the new folder before that takes its
place, and a note of them lies in ROOT/.secondunit/replaced; the note's age is that of the replacement.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from secondunit.handlers.tools.storage.destination import (
    FOLDER,
    MANIFEST,
    OWN_FOLDER,
    PUBLIC_FOLDER,
    Destination,
    open_folder,
    read_manifest,
)
from secondunit.handlers.tools.storage.roots import STAGING
from secondunit.handlers.tools.storage.safe_open import Opener

NOTES, FILES, DUE = "replaced", "files", ".due"
PRIVATE_FOLDER = 0o700


def keep_replaced(
    opener: Opener, staging: int, folder: int, manifest: Mapping[str, object], destination: Destination
) -> None:
    """Link into `folder` what only the folder at the destination has; only where both manifests list their files.

    A file system without hard links keeps nothing.
    """
    standing = destination.manifest()
    if standing is None or not (isinstance(standing.get(FILES), dict) and isinstance(manifest.get(FILES), dict)):
        return
    kept: list[str] = []
    with ExitStack() as held:
        before = os.open(destination.name, OWN_FOLDER, dir_fd=destination.folder)
        held.callback(os.close, before)
        for path, name, here in _regular_files(before):
            if path != Path(MANIFEST) and _linked(opener, name, here, folder, path):
                kept.append(str(path))
        if kept:
            notes = open_folder(opener, staging, [NOTES], PRIVATE_FOLDER)
            held.callback(os.close, notes)
            _write_note(notes, {"names": destination.names, FILES: kept})


def sweep_replaced(roots: Sequence[Path], before: datetime) -> None:
    """Remove what was replaced before that moment, but for what has been published again since."""
    opener = Opener()
    for root in roots:
        with suppress(OSError), ExitStack() as held:  # a root that is gone has its time when it is back
            top = os.open(root, FOLDER | os.O_CLOEXEC)
            held.callback(os.close, top)
            notes = opener.open(top, [STAGING, NOTES], FOLDER, links=False)
            held.callback(os.close, notes)
            with os.scandir(notes) as entries:
                old = [entry.name for entry in entries if entry.stat().st_mtime < before.timestamp()]
            for name in old:
                with suppress(OSError):  # what can't be removed now is tried again
                    _settle(opener, top, notes, name)


def _settle(opener: Opener, top: int, notes: int, name: str) -> None:
    """Remove what a note tells of; one that is written meanwhile tells of the next replacement."""
    due = name.removesuffix(DUE) + DUE
    os.rename(name, due, src_dir_fd=notes, dst_dir_fd=notes)
    with suppress(ValueError, FileNotFoundError, NotADirectoryError), ExitStack() as held:
        file = held.enter_context(os.fdopen(os.open(due, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=notes)))
        note: Mapping[str, Any] = json.load(file)
        folder = opener.open(top, note["names"], FOLDER, links=False)
        held.callback(os.close, folder)
        published = (read_manifest(folder) or {}).get(FILES)
        if isinstance(published, dict):  # else what stands there is not ours
            _remove(opener, folder, [Path(path) for path in note[FILES] if path not in published])
    os.unlink(due, dir_fd=notes)


def _remove(opener: Opener, folder: int, files: Sequence[Path]) -> None:
    for file in files:
        with suppress(FileNotFoundError):
            home = opener.open(folder, file.parts[:-1] or ["."], FOLDER, links=False)
            try:
                os.unlink(file.name, dir_fd=home)
            finally:
                os.close(home)
    for parent in {file.parent for file in files} - {Path()}:
        with suppress(OSError):  # not empty
            os.rmdir(parent, dir_fd=folder)


def _regular_files(folder: int) -> Iterator[tuple[Path, str, int]]:
    for here, _, names, fd in os.fwalk(".", dir_fd=folder):
        for name in names:
            if stat.S_ISREG(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                yield Path(here, name), name, fd


def _linked(opener: Opener, name: str, here: int, folder: int, path: Path) -> bool:
    home = open_folder(opener, folder, path.parts[:-1], PUBLIC_FOLDER)
    try:
        os.link(name, name, src_dir_fd=here, dst_dir_fd=home, follow_symlinks=False)
    except OSError:  # it has a successor of its name, or can't be linked
        return False
    finally:
        os.close(home)
    return True


def _write_note(notes: int, note: Mapping[str, object]) -> None:
    name = hashlib.sha256(json.dumps(note["names"]).encode()).hexdigest()[:32]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(f"{name}.new", flags, 0o600, dir_fd=notes), "w", encoding="utf-8") as file:
        json.dump(note, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(f"{name}.new", name, src_dir_fd=notes, dst_dir_fd=notes)
    os.fsync(notes)
