"""Free-space check of a disk that outputs go to, and what an input would take: nothing is begun where no room is."""

import os
import stat
from datetime import timedelta
from pathlib import Path

from secondunit.queue.outcome import Postponed

FLOOR, SHARE = 8 << 20, 50
LOOK_AGAIN = timedelta(minutes=1)


def free_bytes(disk: os.statvfs_result) -> int:
    """What of a disk we may fill."""
    return disk.f_bavail * disk.f_frsize


def lacking(disk: os.statvfs_result) -> str | None:
    """Why nothing more can be written to a disk: less than 8 MiB are free (2 % of a small one), or no file can be made.

    None while something can, and for a file system that does not know its own size.
    """
    if disk.f_blocks > 0 and free_bytes(disk) < min(FLOOR, disk.f_blocks * disk.f_frsize // SHARE):
        return f"{free_bytes(disk) >> 20} MiB are free"
    return "no more files can be made (it has no inodes left)" if disk.f_files and not disk.f_favail else None


def refuse_full(folder: int, name: object) -> None:
    """Postponed if the disk of an open folder is full; it costs the job nothing, and `name` tells which one it is."""
    if (why := lacking(os.fstatvfs(folder))) is not None:
        raise Postponed(
            f"disk_full: on the disk of {name} {why}; it goes on by itself once there is room", delay=LOOK_AGAIN
        )


def size_of(path: object) -> int:
    """The bytes of a file on a disk here; 0 for what is none, or elsewhere. Blocks."""
    try:
        found = Path(path).stat() if isinstance(path, str) and path.startswith("/") else None
    except (OSError, ValueError):
        return 0
    return found.st_size if found and stat.S_ISREG(found.st_mode) else 0
