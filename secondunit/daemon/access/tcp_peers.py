"""Owner of a TCP peer on this machine, as the kernel knows it: NETLINK_SOCK_DIAG, else /proc/net/tcp.

Headers can't prove that no proxy stands in front, and on loopback any account can connect; the kernel knows whose the
socket at the other end is. Formats: linux/inet_diag.h, linux/netlink.h; proc(5).
"""

import asyncio
import errno
import socket
import struct
import sys
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, REQUEST, ERROR = 4, 20, 1, 2
ALL_STATES, NO_COOKIE = 0xFFFFFFFF, 0xFFFFFFFF
LISTENING = 10
HEADER = struct.Struct("=IHHII")
ASKED = struct.Struct("=BBBBI")
PORTS, TAIL = struct.Struct("!HH"), struct.Struct("=III")
FOUND = struct.Struct("=BBBB48sIIIII")  # inet_diag_msg: family, state, timer, retrans, id, expires, queues, uid, inode
ANSWER = 4096


class Ends(NamedTuple):
    """A connection as the peer sees it: its own address and port, then ours."""

    address: str
    port: int
    our_address: str
    our_port: int


class NotAsked(Exception):
    """The kernel does not answer such questions here."""


async def owner_of(ends: Ends) -> int | None:
    """The uid of the socket at the other end; None if there is none on this machine, or none any more."""
    try:
        return ask_kernel(ends)
    except NotAsked:
        return await asyncio.to_thread(look_up, ends)


def ends_of(connection: socket.socket) -> Ends | None:
    """The ends of an accepted connection; None if it is no TCP, or gone."""
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        peer, own = connection.getpeername(), connection.getsockname()
    except (OSError, ValueError):  # the latter of uvloop's sockets
        return None
    return Ends(_plain(peer[0]), peer[1], _plain(own[0]), own[1])


def ask_kernel(ends: Ends) -> int | None:
    """As `owner_of`, by one message to the kernel and its answer; NotAsked where that can't be done."""
    family, number = _family(ends), _number(ends)
    body = ASKED.pack(family, socket.IPPROTO_TCP, 0, 0, ALL_STATES) + number + TAIL.pack(0, NO_COOKIE, NO_COOKIE)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as line:
            line.setblocking(False)  # the answer is there as soon as it was asked
            line.sendto(HEADER.pack(HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, REQUEST, 1, 0) + body, (0, 0))
            answer = line.recv(ANSWER)
    except OSError as error:
        raise NotAsked(str(error)) from None
    _, kind, *_ = HEADER.unpack_from(answer)
    if kind == ERROR:
        if -struct.unpack_from("=i", answer, HEADER.size)[0] == errno.ENOENT:
            return None
        raise NotAsked("the kernel does not know the question")
    _, state, _, _, found, _, _, _, uid, inode = FOUND.unpack_from(answer, HEADER.size)
    return uid if found.startswith((number, _mapped_number(ends))) and _is_held(state, inode) else None


def look_up(ends: Ends, tables: Path = Path("/proc/net")) -> int | None:
    """As `owner_of`, from the kernel's tables of all sockets. Blocks."""
    for name, wanted in _rows(ends):
        try:
            lines = (tables / name).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, own, other, state, _, _, _, uid, _, inode, *_ = line.split()
            if (own, other) == wanted and _is_held(int(state, 16), int(inode)):
                return int(uid)
    return None


def _is_held(state: int, inode: int) -> bool:
    """Whether a process has the socket: of one that was closed the kernel says uid 0, and inode 0."""
    return inode != 0 and state != LISTENING


def _family(ends: Ends) -> int:
    return socket.AF_INET6 if ":" in ends.address else socket.AF_INET


def _number(ends: Ends) -> bytes:
    """Ports and addresses as inet_diag_sockid begins."""
    own, other = ip_address(ends.address).packed, ip_address(ends.our_address).packed
    return PORTS.pack(ends.port, ends.our_port) + own.ljust(16, b"\0") + other.ljust(16, b"\0")


def _mapped_number(ends: Ends) -> bytes:
    """The same of a client's socket that is of IPv6's kind."""
    if ":" in ends.address:
        return _number(ends)
    return _number(ends._replace(address=f"::ffff:{ends.address}", our_address=f"::ffff:{ends.our_address}"))


def _rows(ends: Ends) -> list[tuple[str, tuple[str, str]]]:
    """In which table, and as which addresses, the peer's socket would stand; one for IPv4 may be of IPv6's kind."""
    rows = [("tcp6", (_cell(ends.address, ends.port), _cell(ends.our_address, ends.our_port)))]
    if ":" not in ends.address:
        mapped = tuple(
            _cell(f"::ffff:{a}", p) for a, p in ((ends.address, ends.port), (ends.our_address, ends.our_port))
        )
        rows = [("tcp", rows[0][1]), ("tcp6", (mapped[0], mapped[1]))]
    return rows


def _cell(address: str, port: int) -> str:
    """An address as those tables write it: words of 32 bits in the machine's own order."""
    packed = ip_address(address).packed
    words = (int.from_bytes(packed[n : n + 4], sys.byteorder) for n in range(0, len(packed), 4))
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"


def _plain(address: str) -> str:
    """Without a zone; an IPv4 address as such, also where it came through a socket of IPv6."""
    found = ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)
