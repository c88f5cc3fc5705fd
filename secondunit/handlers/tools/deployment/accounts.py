"""Build account: another account of this machine, whose programs see neither the daemon's files nor its sockets."""

import os
import pwd
import shutil
import stat
from pathlib import Path

from secondunit.queue.value import Value

PRIVATE, PUBLIC = 0o700, 0o755
STATUS = Path("/proc/self/status")
# What it takes to become another account, to end what it left, and to hand files over and take them back: capabilities
# CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID and SETUID (linux/capability.h).
NEEDED = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7


class AccountRefused(Exception):
    """Nothing can be built under this account, and why."""


class Account(Value, frozen=True):
    """An account by its numbers."""

    uid: int
    gid: int
    groups: tuple[int, ...]

    @property
    def numbers(self) -> tuple[int, int, list[int]]:
        """As the launcher takes them."""
        return self.uid, self.gid, list(self.groups)


def account_of(name: str) -> Account:
    """The account of this name, for the daemon to build under; AccountRefused says why it can't."""
    found = entry_of(name)
    if found.pw_uid == os.geteuid():
        raise AccountRefused(f"{name} is the daemon itself")
    if powers() & NEEDED != NEEDED:
        raise AccountRefused(
            f"the daemon is no superuser and can't become {name}; give it the capabilities that docs/deploy.md names,"
            " or say `trusted = true` instead, with which commands may do all that the daemon may"
        )
    return Account(found.pw_uid, found.pw_gid, tuple(os.getgrouplist(name, found.pw_gid)))


def entry_of(name: str) -> pwd.struct_passwd:
    """What this machine knows of it; AccountRefused for one that is no build account, whoever asks."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise AccountRefused(f"there is no account {name!r} here; make one (useradd --system {name})") from None
    if found.pw_uid == 0:
        raise AccountRefused(f"{name} is the superuser")
    return found


def powers() -> int:
    """The capabilities that this process has in effect."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("CapEff:"))
    return int(line.split()[1], 16)


def lend(folder: Path, account: Account | None) -> None:
    """Let the account, if there is one, have all below a folder."""
    if account:
        _hand(folder, os.geteuid(), account.uid, account.gid)


def take_back(folder: Path, account: Account | None) -> None:
    """Afterwards it is the daemon's again, and nobody else writes in it."""
    if account:
        _hand(folder, account.uid, os.geteuid(), os.getegid())


def home_of(folder: Path, account: Account) -> Path:
    """An empty folder for the account beside its work, in place of the one that a run before it had."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(PRIVATE)
    os.chown(folder, account.uid, account.gid)
    return folder


def set_mode(name: str, folder: int, mode: int) -> None:
    """Set the mode of a regular file in an opened folder; a link that took its place is not followed."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            Path(f"/proc/self/fd/{fd}").chmod(mode)
    finally:
        os.close(fd)


def _hand(folder: Path, owner: int, uid: int, gid: int) -> None:
    """Change the owner of what is the old owner's, which only the new one may write then, from the top down.

    Links are not followed. A folder is the new owner's before it is looked at, so the old one adds nothing to it.
    """
    for _, folders, files, here in os.fwalk(folder):
        os.fchown(here, uid, gid)
        os.fchmod(here, stat.S_IMODE(os.fstat(here).st_mode) & PUBLIC | PRIVATE)
        for name in (*files, *folders):
            found = os.stat(name, dir_fd=here, follow_symlinks=False)
            if found.st_uid == owner:
                os.chown(name, uid, gid, dir_fd=here, follow_symlinks=False)
                set_mode(name, here, stat.S_IMODE(found.st_mode) & PUBLIC)
