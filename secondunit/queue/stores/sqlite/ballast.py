"""A file that only takes up room, so that there is some to record how running jobs end once a disk is full."""

import os
from pathlib import Path

SMALLEST, LARGEST = 16 << 20, 64 << 20
SHARE_OF_DISK = 50


class Ballast:
    """The spare room at `path`: `held` while the file is there. `release` may be called from any thread."""

    def __init__(self, path: Path) -> None:
        disk = os.statvfs(path.parent)
        self.path = path
        self.size = min(max(disk.f_blocks * disk.f_frsize // SHARE_OF_DISK, SMALLEST), LARGEST)

    @property
    def held(self) -> bool:
        """Whether the room is still to spare."""
        return self.path.exists()

    def fill(self) -> bool:
        """Take the room, if twice of it is free; False when it is not."""
        if self.held:
            return True
        if free_bytes(self.path.parent) < 2 * self.size:
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

    def release(self) -> bool:
        """Give the room back to the disk; False when there was none left."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True


def free_bytes(folder: Path) -> int:
    """What the disk under `folder` still has for us."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
