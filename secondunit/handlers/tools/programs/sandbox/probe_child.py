"""Sandbox probe, a program of its own: tries from inside what it must not be able to do, and tells what it could.

`probe_child.py HOLD_PORT OTHER_PORT PID`, in a folder of its own beside `canary`, which is not for it. Answers with a
JSON list of words. HOLD_PORT is 0 where nothing may be reached; else it may be, and only that.
"""

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path


def read() -> None:
    """A file that is somebody else's."""
    Path("../canary").read_bytes()


def write() -> None:
    """A file in a folder that is somebody else's."""
    Path("../written").write_bytes(b"")


def environment(pid: int) -> None:
    """The environment of the daemon."""
    Path(f"/proc/{pid}/environ").read_bytes()


def local_socket() -> None:
    """A socket that is somebody else's, as the control socket is."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("../socket")


def peer(port: int) -> int:
    """The port at the other end of what was to be a connection to this one."""
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        return int(client.getpeername()[1])


def leaks(hold: int, other: int, pid: int) -> Iterator[str]:
    """The words for what it could do, and should not."""
    attempts: dict[str, Callable[[], object]] = {
        "read": read,
        "write": write,
        "environment": lambda: environment(pid),
        "local sockets": local_socket,
        "signals": lambda: os.kill(pid, 0),
    }
    for word, attempt in attempts.items():
        if possible(attempt):
            yield word
    reached: list[int] = []
    if possible(lambda: reached.append(peer(other))) and reached != [hold]:
        yield "network"
    if hold and not possible(lambda: peer(hold)):
        yield "no proxy"


def possible(attempt: Callable[[], object]) -> bool:
    """Whether it was done."""
    try:
        attempt()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.stdout.write(json.dumps(list(leaks(*map(int, sys.argv[1:])))) + "\n")
