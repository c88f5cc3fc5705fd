"""Grace period of replaced files: what a new folder no longer has stays readable in it for a while. Blocking.

A player goes on reading the playlist that it began with. Its files are linked into the new folder before that takes its
place; the database has a note of them (`FolderLog.replaced`).
"""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from secondunit.handlers.tools.storage.destination import FOLDER, PUBLIC_FOLDER, Destination, open_folder
from secondunit.handlers.tools.storage.ownership import MANIFEST, OWN_FOLDER, Standing, place_of
from secondunit.handlers.tools.storage.safe_open import Opener

FILES, KEPT = "files", "kept"


def keep_replaced(
    opener: Opener, folder: int, manifest: Mapping[str, object], destination: Destination, standing: Standing
) -> Sequence[str]:
    """Link into `folder` what only the folder at the destination has, and name what of it was ours, by its manifest.

    What somebody else put there goes along, and stays. A file system without hard links keeps nothing.
    """
    before = standing.manifest
    if before is None or not (isinstance(before.get(FILES), dict) and isinstance(manifest.get(FILES), dict)):
        return ()
    ours = {*before[FILES], *map(str, before.get(KEPT) or ())}
    kept: list[str] = []
    with suppress(FileNotFoundError), ExitStack() as held:
        old = os.open(destination.name, OWN_FOLDER, dir_fd=destination.folder)
        held.callback(os.close, old)
        if place_of(old) == standing.place:
            for path, name, here in _regular_files(old):
                if path != Path(MANIFEST) and _linked(opener, name, here, folder, path) and str(path) in ours:
                    kept.append(str(path))
    return kept


def remove_replaced(opener: Opener, folder: int, files: Sequence[str], published: object) -> None:
    """Remove these files from an open folder of ours, but for those that have been published again since."""
    if not isinstance(published, dict):
        return
    doomed = [Path(file) for file in files if file not in published]
    for file in doomed:
        with suppress(FileNotFoundError, NotADirectoryError), ExitStack() as held:
            os.unlink(file.name, dir_fd=_home(opener, folder, file, held))
    for parent in {file.parent for file in doomed} - {Path()}:
        with suppress(OSError), ExitStack() as held:  # not empty
            os.rmdir(parent.name, dir_fd=_home(opener, folder, parent, held))


def _home(opener: Opener, folder: int, path: Path, held: ExitStack) -> int:
    """The folder that something in `folder` lies in, reached through no link."""
    home = opener.open(folder, path.parts[:-1] or ["."], FOLDER, links=False)
    held.callback(os.close, home)
    return home


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
