"""Race-free open and rename beneath an open folder (openat2): no symbolic link leads outside of it.

Uses openat2(2), Linux 5.6; where it is missing or forbidden, each name is opened on its own and no link is followed.
The numbers are those of <linux/openat2.h>, <linux/fs.h> and, the same on every architecture, <asm/unistd.h>.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Sequence

SYS_OPENAT2 = 437
AT_FDCWD = -100
RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH = 0x02, 0x04, 0x08
RENAME_EXCHANGE = 2
ESCAPES = (errno.EXDEV, errno.ELOOP)
DENIED = (errno.EACCES, errno.EPERM)
RACES = 100


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


class Opener:
    """Opens beneath folders by the best means this kernel has."""

    def __init__(self, *, openat2: bool | None = None) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.has_openat2 = self._probe() if openat2 is None else openat2

    def open(self, folder: int, names: Sequence[str], flags: int, *, links: bool) -> int:
        """Open what `names` lead to from `folder`; `links` allows symbolic links that stay beneath it.

        An OSError with one of ESCAPES says that a link was in the way.
        """
        flags |= os.O_CLOEXEC
        if not self.has_openat2:
            return _open_by_name(folder, names, flags)
        resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (0 if links else RESOLVE_NO_SYMLINKS)
        for _ in range(RACES):
            try:
                return self._openat2(folder, "/".join(names), flags, resolve)
            except BlockingIOError:  # something was renamed while a ".." of a link was followed
                continue
        raise OSError(errno.EXDEV, "the path keeps changing")

    def exchange(self, folder: int, name: str, other_folder: int, other_name: str) -> None:
        """Swap two things in one step; an OSError with EINVAL or ENOSYS where the file system can't."""
        first, second = os.fsencode(name), os.fsencode(other_name)
        if self._libc.renameat2(folder, first, other_folder, second, RENAME_EXCHANGE):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), name, None, other_name)

    def _openat2(self, folder: int, path: str, flags: int, resolve: int) -> int:
        how = _OpenHow(flags, 0, resolve)
        fd: int = self._libc.syscall(
            ctypes.c_long(SYS_OPENAT2),
            ctypes.c_int(folder),
            ctypes.c_char_p(os.fsencode(path)),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
        return fd

    def _probe(self) -> bool:
        try:
            os.close(self._openat2(AT_FDCWD, "/", os.O_PATH | os.O_CLOEXEC, 0))
        except OSError:
            return False
        return True


def _open_by_name(folder: int, names: Sequence[str], flags: int) -> int:
    """Open name by name, following no link at all."""
    here = os.dup(folder)
    try:
        for name in names[:-1]:
            following = _step(here, name, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            os.close(here)
            here = following
        return _step(here, names[-1], flags)
    finally:
        os.close(here)


def _step(folder: int, name: str, flags: int) -> int:
    try:
        fd = os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name) from None
        raise
    if flags & os.O_PATH and stat.S_ISLNK(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
    return fd
