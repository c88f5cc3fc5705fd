"""Environment scrub: what the process was started with is no longer to be read from outside, once it is read in.

`/proc/PID/environ` shows the memory that the kernel filled at the start (proc_pid_environ(5)), whatever is set later.
"""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

PR_SET_DUMPABLE = 4
STAT = Path("/proc/self/stat")
BEGIN, END = 47, 48  # of what stands behind the name: env_start and env_end of proc_pid_stat(5)


def hide(secrets: Iterable[str]) -> None:
    """Forget these variables and blank out that memory; nobody but root traces the process or reads its memory.

    The other variables live on, for Python and for the C library, in copies. No core is dumped from now on.
    """
    for name in secrets:
        os.environ.pop(name, None)
    for variable, value in os.environb.items():
        os.putenv(variable, value)
    words = STAT.read_text().rpartition(")")[2].split()
    begin, end = int(words[BEGIN]), int(words[END])
    if 0 < begin < end:
        ctypes.memset(begin, 0, end - begin)
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
