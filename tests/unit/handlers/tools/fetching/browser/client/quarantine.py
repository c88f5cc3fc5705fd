"""A network of a test's own: nothing that goes wrong in it gets out, and every packet to anywhere is seen."""

import asyncio
import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

CLONE_NEWNET = 0x40000000
EVERYTHING = 0x0003
TCP, UDP = 6, 17
IPV4, IPV6 = 0x0800, 0x86DD
METADATA = "169.254.169.254"
# A way out that ends in a wire with nobody at its other end: what is sent goes out, is seen, and is gone.
NETWORK = (
    "link set lo up",
    f"address add {METADATA}/32 dev lo",
    "link add out type veth peer name end",
    "link set out up",
    "link set end up",
    "address add 192.0.2.2/24 dev out",
    "neighbour add 192.0.2.1 lladdr 02:00:00:00:00:01 dev out nud permanent",
    "route add default via 192.0.2.1",
)


class Unavailable(RuntimeError):
    """This process may not make a network."""


@contextmanager
def quarantine() -> Iterator[None]:
    """Inside, this thread and what it starts have a loopback of their own, and a way out that leads nowhere.

    Sockets, threads and processes belong to the network in which they were made. Needs root.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(CLONE_NEWNET) != 0:
            raise Unavailable(os.strerror(ctypes.get_errno()))
        try:
            for line in NETWORK:
                subprocess.run(["ip", *line.split()], check=True)
            yield
        finally:
            if libc.setns(outside, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "the test's network can't be left")
    finally:
        os.close(outside)


class Packets:
    """Where everything that is sent in this network goes: protocol, address and port."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, str, int]] = set()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(EVERYTHING))
        self._socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self.read)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def read(self) -> None:
        """Take in what has passed by now."""
        with suppress(BlockingIOError):
            while True:
                packet, (_, kind, *_) = self._socket.recvfrom(100)
                if kind in (IPV4, IPV6):
                    self._note(packet)

    def _note(self, packet: bytes) -> None:
        if packet[0] >> 4 == 6:
            protocol, target, payload = packet[6], packet[24:40], packet[40:]
        else:
            protocol, target, payload = packet[9], packet[16:20], packet[(packet[0] & 15) * 4 :]
        opens = protocol == TCP and payload[13] & 0x12 == 0x02
        if opens or protocol == UDP:  # the kernel itself sends others
            self.seen.add(("tcp" if opens else "udp", str(ip_address(target)), int.from_bytes(payload[2:4])))


def possible() -> bool:
    """Whether this process may make a network of its own."""
    return os.geteuid() == 0 and any(Path(folder, "ip").exists() for folder in ("/sbin", "/usr/sbin", "/bin"))
