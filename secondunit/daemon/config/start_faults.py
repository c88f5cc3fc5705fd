"""Faults that keep the daemon from starting: of folders, found before anything is made; of its port. Blocking."""

import os
from collections.abc import Collection, Iterator
from importlib.util import find_spec
from pathlib import Path

from secondunit.daemon.config.media_root_guard import misplaced
from secondunit.daemon.config.settings import Settings

LONGEST_SOCKET_PATH = 107  # sun_path, less its closing NUL


def folder_faults(settings: Settings, wrong: Collection[str]) -> Iterator[str]:
    """What is wrong with the folders, but for those of settings that are `wrong` already."""
    if "media_roots" not in wrong:
        for root in settings.media_roots:
            if why := _missing(root):
                yield f"MEDIA_ROOTS: {root}: {why}; allowed: folders that exist"
    if not {"media_roots", "shared_roots", "data_dir"} & {*wrong}:
        yield from _shared_faults(settings)
    if "data_dir" in wrong:
        return
    yield from _place_faults(settings, wrong)
    if not {"media_roots", "queue_url"} & {*wrong}:
        yield from misplaced(settings.roots, settings.data_dir, settings.media, settings.database.path)
    if settings.database.server and find_spec("psycopg") is None:
        yield "QUEUE_URL: the extra postgres is not installed; allowed: sqlite:///PATH, or install it (`make postgres`)"
    if len(os.fsencode(settings.control)) > LONGEST_SOCKET_PATH:
        allowed = f"{LONGEST_SOCKET_PATH} bytes with it"
        yield f"DATA_DIR: {settings.control} is too long for a socket; allowed: {allowed}"


def _shared_faults(settings: Settings) -> Iterator[str]:
    """By their names, as paths of payloads are judged: a link may lead elsewhere on each box."""
    for folder in settings.shared_roots:
        if not any(folder.is_relative_to(root) for root in settings.roots):
            roots = ", ".join(map(str, settings.roots))
            yield f"SHARED_ROOTS: {folder} is not beneath MEDIA_ROOTS; allowed: {roots}, or folders in them"
        elif why := _missing(folder):
            yield f"SHARED_ROOTS: {folder}: {why}; allowed: folders that exist (is it mounted?)"


def port_in_use(host: str, port: int) -> str:
    """What is said where another program listens."""
    return f"PORT: {port} is in use on {host}; allowed: a free one, or 0 for any (stop what uses it, perhaps)"


def _place_faults(settings: Settings, wrong: Collection[str]) -> Iterator[str]:
    """Whether what the daemon makes by itself can be there."""
    folder, file = settings.data_dir, settings.database.path
    if why := _in_the_way(folder):
        yield f"DATA_DIR: {folder}: {why}; allowed: a folder, or where one can be made"
        return
    if "queue_url" in wrong or settings.database.server:
        return
    if why := f"{file} is a folder" if file.is_dir() else _in_the_way(file.parent):
        yield f"QUEUE_URL: {file}: {why}; allowed: a file, or where one can be made"


def nearest(folder: Path) -> Path:
    """What is there of the way to a folder: itself, else what is above it."""
    return next(place for place in (folder, *folder.parents) if os.path.lexists(place))


def _in_the_way(folder: Path) -> str | None:
    """What of the way to a folder is none, so that it can't be made."""
    there = nearest(folder)
    return None if there.is_dir() else f"{there} is no folder"


def _missing(folder: os.PathLike[str]) -> str | None:
    try:
        os.close(os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        return error.strerror or str(error)
    return None
