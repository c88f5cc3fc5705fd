"""Account that owns a folder: its name, and dropping root's privileges to it, so that nothing there becomes root's."""

import grp
import os
import pwd
from collections.abc import Sequence
from pathlib import Path

from secondunit.daemon.config.surroundings import surroundings

SERVICE_ACCOUNT = "secondunit"


def not_yours(folder: Path) -> str:
    """What a user is told who may not use this folder."""
    access = surroundings(folder, os.environ).access
    return f"{folder} belongs to {_owner(folder)}, and you may not use it; {access}"


def act_as_owner(folder: Path) -> None:
    """From now on, and for good, this process has the rights of the folder's owner only, if it had root's.

    A database that root wrote to would have parts that the daemon's user can't write.
    """
    if os.geteuid() != 0 or not folder.is_dir():
        return
    status = folder.stat()
    if status.st_uid != 0:
        os.setgroups(_groups(status.st_uid, status.st_gid))
        os.setgid(status.st_gid)
        os.setuid(status.st_uid)


def _groups(user: int, group: int) -> Sequence[int]:
    """Those of the account, as systemd gives them to the service: a media folder may be opened to it by one."""
    try:
        return os.getgrouplist(pwd.getpwuid(user).pw_name, group)
    except (OSError, KeyError):
        return []


def _owner(folder: Path) -> str:
    try:
        return pwd.getpwuid(folder.stat().st_uid).pw_name
    except (OSError, KeyError):
        return "another user"


def group_of_service() -> int | None:
    """The group of the account that the service runs as, if it was installed."""
    try:
        return grp.getgrnam(SERVICE_ACCOUNT).gr_gid
    except KeyError:
        return None
