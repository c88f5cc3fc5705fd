"""Disk-space reserve: a file that only takes up room, freed to record how running jobs end on a full disk."""

import os
from pathlib import Path

SMALLEST, LARGEST = 16 << 20, 64 << 20
SHARE_OF_DISK, MOST_OF_DISK = 50, 8


class Ballast:
    """The spare room at `path`, `held` until it is released; `release` may be called from any thread."""

    def __init__(self, path: Path) -> None:
        disk = os.statvfs(path.parent)
        all = disk.f_blocks * disk.f_frsize
        self.path = path
        self.size = min(max(all // SHARE_OF_DISK, SMALLEST), LARGEST, all // MOST_OF_DISK)
        self.held = path.exists()

    def fill(self) -> bool:
        """Take the room, if twice of it is free; False when it is not."""
        self.held = self.path.exists() or self._taken()
        return self.held

    def free(self) -> int:
        """What the disk still has for us."""
        return free_bytes(self.path.parent)

    def release(self) -> bool:
        """Give the room back to the disk; False when there was none left."""
        self.held = False
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True

    def _taken(self) -> bool:
        if self.free() < 2 * self.size:
            return False
        filling = self.path.with_name(self.path.name + ".filling")
        try:
            with filling.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self.size)
            filling.rename(self.path)
        except OSError:
            filling.unlink(missing_ok=True)
            return False
        return True


def free_bytes(folder: Path) -> int:
    """What the disk under `folder` still has for us."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
