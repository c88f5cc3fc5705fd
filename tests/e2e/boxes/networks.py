"""Networks of a test's own: one for the database's server, one for a box, and a wire between that can be cut.

A network lives as long as the process that holds it; sockets and processes belong to the one in which they were made.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.postgres_server import DIES_WITH_US

CLONE_NEWNET = 0x40000000
SERVER, BOX = "192.0.2.1", "192.0.2.2"  # TEST-NET-1: nobody's


def possible() -> bool:
    """Whether this process may make networks."""
    makes = ["unshare", "--net", "true"]
    return (
        os.geteuid() == 0
        and shutil.which("ip") is not None
        and not subprocess.run(makes, capture_output=True, check=False).returncode
    )


class Wire:
    """Two networks, `server` and `box`, by the command that runs another in one of them; what lies between."""

    def __init__(self, server: int, box: int) -> None:
        self.server = _within(server)
        self.box = _within(box)
        self._box = box
        for pid, line in (
            (server, "link set lo up"),
            (box, "link set lo up"),
            (box, f"link add wire type veth peer name wire netns {server}"),
            (server, f"address add {SERVER}/30 dev wire"),
            (box, f"address add {BOX}/30 dev wire"),
            (server, "link set wire up"),
            (box, "link set wire up"),
        ):
            self._do(pid, line)
        self._server = server

    def cut(self) -> None:
        """Nothing gets through any more, and nobody is told so."""
        self._do(self._server, "link set wire down")

    def join(self) -> None:
        """As before."""
        self._do(self._server, "link set wire up")

    @contextmanager
    def door(self, port: int) -> Iterator[None]:
        """What connects to this port of our loopback gets to the same port of the box's."""
        with ExitStack() as stack:
            network = os.open(f"/proc/{self._box}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, network)
            listener = stack.enter_context(socket.create_server(("127.0.0.1", port)))
            door = threading.Thread(target=_welcome, args=(listener, network, port))
            door.start()
            stack.callback(door.join)
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            yield

    def _do(self, pid: int, line: str) -> None:
        subprocess.run([*_within(pid), "ip", *line.split()], check=True)


@contextmanager
def wired() -> Iterator[Wire]:
    """A wire between two networks, for as long as this is open."""
    holders = [subprocess.Popen([*DIES_WITH_US, "unshare", "--net", "sleep", "infinity"]) for _ in range(2)]
    try:
        for holder in holders:
            while Path(f"/proc/{holder.pid}/comm").read_text() != "sleep\n":
                time.sleep(0.01)
        yield Wire(holders[0].pid, holders[1].pid)
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()


def _within(pid: int) -> Sequence[str]:
    return ("nsenter", f"--net=/proc/{pid}/ns/net")


def _welcome(listener: socket.socket, network: int, port: int) -> None:
    """On a thread of its own, which moves to the other network: what was made before stays where it was."""
    if ctypes.CDLL(None, use_errno=True).setns(network, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "the box's network can't be entered")
    with ThreadPoolExecutor(100) as pool, ExitStack() as stack, suppress(OSError):
        while True:
            outside, _ = listener.accept()
            stack.callback(_hang_up, outside)
            with suppress(OSError):
                inside = socket.create_connection(("127.0.0.1", port))
                stack.callback(_hang_up, inside)
                pool.submit(_pass_on, outside, inside)
                pool.submit(_pass_on, inside, outside)
                continue
            outside.shutdown(socket.SHUT_RDWR)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _hang_up(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
