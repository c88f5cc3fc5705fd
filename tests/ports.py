"""Free ports of loopback, each given to one test alone, whatever other tests run on this machine meanwhile."""

import random
import socket
from pathlib import Path

# We stay below these: no connection that goes out is given one of ours between our look and the bind of who asked.
OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 10_000


def free_port() -> int:
    """A port that nothing uses, and that nobody else is given who asks here."""
    below = int(OUTGOING.read_text().split()[0])
    ours = range(LOWEST, below if below > LOWEST + 5_000 else 65_536)
    for port in random.sample(ours, 1000):
        if _unused(port) and _reserved(port):
            return port
    raise AssertionError(f"none of 1000 ports of {ours} is free")


def _unused(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _reserved(port: int) -> bool:
    """Whether it is ours now: an abstract name can be bound once."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0port {port} of secondunit's tests")
    except OSError:
        name.close()
        return False
    name.detach()  # it stays open, and the port ours, until this process ends
    return True
