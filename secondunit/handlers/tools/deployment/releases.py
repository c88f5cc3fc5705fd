"""Release folder with atomic switch: `releases/TIME-SHA`, and `current`, a link to the one that serves. Blocking.

A release is made under a name that nobody serves, and gets its own by a rename. `current` is replaced by a rename too,
so that it always leads to a whole release. `releases/.healthy` is a link to the last one that was found to work.
"""

import ctypes
import errno
import os
import re
import shutil
import stat
from datetime import datetime
from pathlib import Path

from secondunit.handlers.tools.deployment.accounts import set_mode
from secondunit.queue.outcome import Deterministic

RELEASE = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}(-[0-9]+)?")
UNFINISHED = ".tmp"
CURRENT, HEALTHY, RELEASES = "current", ".healthy", "releases"
PUBLIC, PRIVATE = 0o755, 0o700


class Releases:
    """The releases of one project; one run at a time may touch them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._folder = directory / RELEASES

    def begin(self, now: datetime, commit: str) -> Path:
        """A new folder for an unfinished release. What a killed run left is removed."""
        for folder in (self._directory, self._folder):
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(PUBLIC)
        self._refuse_foreign()
        for left in self._folder.glob(f"*{UNFINISHED}"):
            if RELEASE.fullmatch(left.name.removesuffix(UNFINISHED)):
                shutil.rmtree(left)
        wanted = f"{now:%Y%m%dT%H%M%SZ}-{commit[:12]}"
        name, number = wanted, 1
        while (self._folder / name).exists():
            name, number = f"{wanted}-{number}", number + 1
        unfinished = self._folder / f"{name}{UNFINISHED}"
        unfinished.mkdir(PRIVATE)
        return unfinished

    def finish(self, unfinished: Path) -> Path:
        """The release under its own name, readable by everybody, and on the disk."""
        _publish(unfinished)
        _sync(unfinished)
        release = unfinished.with_name(unfinished.name.removesuffix(UNFINISHED))
        unfinished.rename(release)
        _sync(self._folder)
        return release

    def serve(self, release: Path) -> None:
        """Let `current` lead to this release, in one step."""
        self._refuse_foreign()
        _point(self._directory / CURRENT, f"{RELEASES}/{release.name}")

    def healthy(self, release: Path) -> None:
        """Remember that this release works."""
        _point(self._folder / HEALTHY, release.name)

    def go_back(self) -> Path | None:
        """Let `current` lead to the last release that worked; with none, nothing is served."""
        name = _target(self._folder / HEALTHY)
        if name is None or not (self._folder / name).is_dir():
            (self._directory / CURRENT).unlink(missing_ok=True)
            _sync(self._directory)
            return None
        self.serve(self._folder / name)
        return self._folder / name

    def prune(self, keep: int) -> None:
        """Remove all but the newest `keep`; the one that is served, and the last that worked, stay in any case."""
        names = sorted((path.name for path in self._folder.iterdir() if RELEASE.fullmatch(path.name)), reverse=True)
        current = _target(self._directory / CURRENT)
        spared = {*names[:keep], Path(current).name if current else "", _target(self._folder / HEALTHY)}
        for name in names:
            if name not in spared:
                doomed = self._folder / f"{name}{UNFINISHED}"
                (self._folder / name).rename(doomed)
                shutil.rmtree(doomed, ignore_errors=True)

    def _refuse_foreign(self) -> None:
        current = self._directory / CURRENT
        if current.exists() and not current.is_symlink():
            raise Deterministic(f"{current} is not a link of ours; move it away", type="output_not_ours")


def _point(link: Path, target: str) -> None:
    """Make or replace a symbolic link by a rename: a reader finds the old target or the new one, never none."""
    temporary = link.with_name(f".{link.name.lstrip('.')}{UNFINISHED}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
    _sync(link.parent)


def _target(link: Path) -> str | None:
    try:
        return str(link.readlink())
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINVAL):
            return None
        raise


def _publish(folder: Path) -> None:
    """Let everybody read it, whatever the umask of the build was; links are not followed."""
    for _, folders, files, here in os.fwalk(folder):
        os.fchmod(here, PUBLIC)
        for name in (*files, *folders):
            mode = os.stat(name, dir_fd=here, follow_symlinks=False).st_mode
            if stat.S_ISREG(mode):
                set_mode(name, here, stat.S_IMODE(mode) | (0o555 if mode & 0o100 else 0o444))


def _sync(folder: Path) -> None:
    """Put everything on the folder's file system on the disk: one call for the many small files of a release."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(fd)
