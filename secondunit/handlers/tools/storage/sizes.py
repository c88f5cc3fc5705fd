"""Size of an input before it is opened, for reservations of disk space."""

import stat
from pathlib import Path


def size_of(path: str | None) -> int:
    """The bytes of a file on a disk here; 0 for what is none, or elsewhere. Blocks."""
    try:
        found = Path(path).stat() if path and path.startswith("/") else None
    except (OSError, ValueError):
        return 0
    return found.st_size if found and stat.S_ISREG(found.st_mode) else 0
