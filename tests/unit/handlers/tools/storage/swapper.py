"""A stranger who can write in a root, as a program of his own: he exchanges names for links as fast as he can."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = """
import ctypes, os, sys
libc, exchange = ctypes.CDLL(None), 2
one, other = map(os.fsencode, sys.argv[1:])
libc.prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL: it would go on for ever where the tests are killed
print("swapping", flush=True)
while True:
    libc.renameat2(-100, one, -100, other, exchange)
"""


@contextmanager
def swapping(one: Path, other: Path) -> Iterator[None]:
    """While inside, the two trade places all the time."""
    argv = [sys.executable, "-I", "-S", "-c", PROGRAM, str(one), str(other)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout is not None
        try:
            assert stranger.stdout.readline() == b"swapping\n"
            yield
        finally:
            stranger.kill()


def seen(folder: Path) -> dict[str, Any]:
    """All that lies in a folder, and when it and its content last changed."""
    found: dict[str, Any] = {}
    for here, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            path = Path(here, name)
            told = path.lstat()
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            found[str(path)] = (told.st_mode, told.st_ino, told.st_mtime_ns, told.st_ctime_ns, content)
    return found
