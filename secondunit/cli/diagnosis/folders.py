"""Checks of folders and disks: DATA_DIR and who may read it, MEDIA_ROOTS and the daemon's rights there, free space."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from secondunit.cli.diagnosis.situation import Situation
from secondunit.daemon.config.oddities import readable_secrets
from secondunit.daemon.diagnosis.checks import CheckResult, bad, ok, warn
from secondunit.handlers.tools.storage.free_space import free_bytes, lacking

LEAST_FREE = 512 << 20
OTHERS = stat.S_IRWXO
UNSUPPORTED = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)


def privacy(here: Situation) -> Iterator[CheckResult]:
    """Who else may read what is secret."""
    data = here.settings.data_dir
    found: list[CheckResult] = []
    if data.is_dir() and data.stat().st_mode & OTHERS:
        found.append(_open_data(data))
    if here.config:
        for name, path in readable_secrets(here.config.settings, here.config.origins):
            found.append(bad("privacy", f"{name} in {path} can be read by everybody here", f"`chmod o-r {path}`"))
    credentials = here.layout.settings / "credentials"
    if credentials.is_dir() and credentials.stat().st_mode & OTHERS:
        found.append(bad("privacy", f"{credentials} is open to everybody here", f"`chmod 0700 {credentials}`"))
    yield from found or [ok("privacy", f"{data} and the files of keys are for the daemon's account alone")]


def _open_data(data: Path) -> CheckResult:
    names = ("queue.db", "queue.db-wal", "uploads", "work")
    open_too = [name for name in names if (path := data / name).exists() and path.stat().st_mode & OTHERS]
    mode, remedy = f"{stat.S_IMODE(data.stat().st_mode):04o}", f"`chmod -R o-rwx {data}`"
    if data.stat().st_mode & stat.S_IWOTH or open_too:
        what = f", and so are {', '.join(open_too)} in it" if open_too else ""
        return bad("privacy", f"{data} is open to everybody here (mode {mode}){what}", remedy)
    return warn("privacy", f"{data} can be listed by everybody here (mode {mode}); its files can't be read", remedy)


def roots(here: Situation) -> Iterator[CheckResult]:
    """What the daemon's account may do in each root."""
    if here.settings.data_dir.is_dir() or here.settings.media_roots:
        for root in here.settings.roots:
            yield _root(root)


def _root(root: Path) -> CheckResult:
    name, account = "media root", f"user {os.geteuid()}"
    remedy = f"`install -d -o USER -g GROUP -m 0750 {root}` with the daemon's account, or take it out of MEDIA_ROOTS"
    if not root.is_dir():
        return bad(name, f"{root} is no folder", remedy)
    if not os.access(root, os.R_OK | os.X_OK):
        return bad(name, f"{root} can't be read by {account}, which the daemon runs as", remedy)
    try:
        os.close(os.open(root, os.O_TMPFILE | os.O_WRONLY, 0o600))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return bad(name, f"{root}: no file can be made, its disk is full", "free some space")
        if error.errno not in UNSUPPORTED or not os.access(root, os.W_OK):
            found = f"{root} can't be written by {account}, which the daemon runs as ({error.strerror})"
            return bad(name, found, f"`chown` or `chmod` it for that account; {remedy}")
    return ok(name, f"{root} can be read and written by {account}")


def disks(here: Situation) -> Iterator[CheckResult]:
    """Room on each disk once, by the first of our folders on it."""
    settings, seen = here.settings, set[int]()
    for folder in (settings.data_dir, settings.database.path.parent, *settings.roots):
        if not folder.is_dir() or (device := folder.stat().st_dev) in seen:
            continue
        seen.add(device)
        disk = os.statvfs(folder)
        free = f"{free_bytes(disk) >> 20} MiB are free on the disk of {folder}"
        if why := lacking(disk):
            yield bad("disk", f"the disk of {folder} is full: {why}", "free some space; the daemon goes on by itself")
        elif free_bytes(disk) < LEAST_FREE:
            yield warn("disk", free, "free some space")
        else:
            yield ok("disk", free)
