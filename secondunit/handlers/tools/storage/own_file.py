"""Opens what a job keeps in its own folder as an input, the way inputs beneath a root are."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.ports import Source


@asynccontextmanager
async def opened(path: Path, name: str) -> AsyncIterator[Source]:
    """The file as `name`, which messages show; never through a symbolic link."""
    fd = await in_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        found = await in_thread(os.fstat, fd)
        identity = f"{found.st_dev:x}-{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}"
        yield Source(name, Path(f"/proc/self/fd/{fd}"), fd, found.st_size, identity)
    finally:
        await in_thread(os.close, fd)
