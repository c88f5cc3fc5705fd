"""Peer of the control socket: its account, and whether it is one of the daemon's own programs."""

import os
import socket
import struct
from pathlib import Path

CREDENTIALS = struct.Struct("=iII")  # ucred, unix(7)
DEEPEST = 4096


def refusal_of(connection: socket.socket, proc: Path = Path("/proc")) -> str | None:
    """Why this peer may not use the socket; None for a program of our own account, or root's, that we did not start.

    One that a job runs, and that was taken over, is of our account as well; what keeps it out is whose child it is.
    """
    pid, uid, _ = CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
    if uid not in (os.geteuid(), 0):
        return f"it is for uid {os.geteuid()}, this daemon's own, and root; this is a program of uid {uid}"
    if pid == os.getpid():
        return None
    if pid <= 0 or descends(pid, os.getpid(), proc):
        return "it is not for programs that this daemon started"
    return None


def descends(pid: int, ancestor: int, proc: Path = Path("/proc")) -> bool:
    """Whether a process is below another; also said of one that is gone, whose parents nobody knows any more."""
    for _ in range(DEEPEST):
        parent = _parent(pid, proc)
        if parent is None or parent == ancestor:
            return True
        if parent <= 1:
            return False
        pid = parent
    return True


def _parent(pid: int, proc: Path) -> int | None:
    try:
        stat = (proc / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    return int(stat.rpartition(b")")[2].split()[1])  # its name may hold anything, a parenthesis too
