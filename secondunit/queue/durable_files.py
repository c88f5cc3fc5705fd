"""Checkpointed files of finished steps: synced before the step that points to them is stored, verified before reuse.

A file is known again by its size and SHA-256; a folder by being one, since what runs in it may write there later.
Blocking: call it in a thread.
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

Marks = Mapping[str, Sequence[int | str]]
"""Path -> (size in bytes, SHA-256 in hex); of a folder (0, "")."""

FOLDER_MARK = (0, "")


def secure(paths: Iterable[Path]) -> Marks:
    """Bring the files, and the folders that name them, to the disk; what they are known by afterwards.

    Raises OSError when one is gone or the disk did not take it.
    """
    marks: dict[str, Sequence[int | str]] = {}
    for path in paths:
        for found in _tree(path):
            sync(found)
        for folder in path.parents:
            if not os.access(folder, os.R_OK):  # not ours, so not made for this step either
                break
            sync(folder)
        marks[str(path)] = FOLDER_MARK if path.is_dir() else _mark(path)
    return marks


def intact(paths: Iterable[Path], marks: Marks | None) -> bool:
    """Whether all are there and what they were when they were secured; without marks, whether they are there."""
    if marks is None:  # stored by a version that kept none
        return all(path.exists() for path in paths)
    return all(_same(path, tuple(marks.get(str(path), ()))) for path in paths)


def _same(path: Path, mark: tuple[int | str, ...]) -> bool:
    try:
        if path.is_dir():
            return mark == FOLDER_MARK
        return bool(mark) and path.stat().st_size == mark[0] and _mark(path) == mark
    except OSError:
        return False


def _mark(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()


def _tree(path: Path) -> Iterator[Path]:
    """The path itself and, of a folder, everything below it first; only files and folders, and never behind a link."""
    kind = path.lstat().st_mode
    if stat.S_ISDIR(kind):
        for entry in path.iterdir():
            yield from _tree(entry)
    if stat.S_ISREG(kind) or stat.S_ISDIR(kind):
        yield path


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
