"""Peer of the control socket: its account, and whether it is one of the daemon's own programs."""

import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

CREDENTIALS = struct.Struct("=iII")  # ucred, unix(7)
DEEPEST, TRIES = 4096, 3


class Peer(NamedTuple):
    """Who opened a connection to a socket of the machine, as the kernel noted it then."""

    pid: int
    uid: int


def peer_of(connection: socket.socket) -> Peer:
    """The peer of an accepted connection."""
    pid, uid, _ = CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
    return Peer(pid, uid)


def refusal_of(peer: Peer, proc: Path = Path("/proc")) -> str | None:
    """Why this peer may not use the socket; None for a program of our own account, or root's, that we did not start.

    One that a job runs, and that was taken over, is of our account as well; what keeps it out is whose child it is.
    Blocks.
    """
    if peer.uid not in (os.geteuid(), 0):
        return f"it is for uid {os.geteuid()}, this daemon's own, and root; this is a program of uid {peer.uid}"
    if peer.pid == os.getpid() or peer.uid != os.geteuid():  # what a daemon that is not root starts is not root, either
        return None
    if peer.pid <= 0 or descends(peer.pid, os.getpid(), proc):
        return "it is not for programs that this daemon started"
    return None


def is_anothers(pid: int) -> bool:
    """Whether a process is there and of an account that is not ours."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def descends(
    pid: int, ancestor: int, proc: Path = Path("/proc"), is_anothers: Callable[[int], bool] = is_anothers
) -> bool:
    """Whether a process is below another of its account; also said of one whose parents nobody knows any more.

    Where /proc hides other accounts (systemd's ProtectProc), one of theirs, such as sudo, is seen to be there at least,
    and is no program of ours.
    """
    for _ in range(TRIES):
        found = _is_above(ancestor, pid, proc, is_anothers)
        if found is not None:
            return found
    return True


def _is_above(ancestor: int, pid: int, proc: Path, is_anothers: Callable[[int], bool]) -> bool | None:
    """None when one on the way ended meanwhile, and left its children to others."""
    for _ in range(DEEPEST):
        parent = _parent(pid, proc)
        if parent is None:
            return False if is_anothers(pid) else None
        if parent == ancestor:
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
