"""Landlock rule set: what of the file system, of ports and of other processes a program may reach (linux/landlock.h).

Rights are trimmed to the version (ABI) that the kernel has. What is not handled stays allowed, so each version closes
more: 1 files; 2 renames between folders; 3 truncating; 4 TCP ports; 5 ioctls of devices; 6 signals, abstract sockets.
"""

import struct
from collections.abc import Sequence

from secondunit.queue.value import Value

EXECUTE, WRITE, READ, LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REFER, TRUNCATE, IOCTL = 1 << 13, 1 << 14, 1 << 15
MAKE_DEVICES = 1 << 6 | 1 << 11  # character and block ones
BIND_TCP, CONNECT_TCP = 1, 2
ABSTRACT_SOCKETS, SIGNALS, KEEPS_SIGNALS = 1, 2, 6
FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
OF_FILES = EXECUTE | WRITE | READ | TRUNCATE | IOCTL  # the rights that a rule for a single file may name
SEEN, USED = READ | LIST, READ | LIST | EXECUTE


class RuleSet(Value, frozen=True):
    """`attributes` of the new rule set, `rules` for places, and for descriptors: files read or written, and folders."""

    attributes: bytes
    rules: Sequence[tuple[str, int]]
    read_file: int
    write_file: int
    folder: int
    program: int
    of_files: int
    port: bytes


def handled(abi: int) -> int:
    """Every right to files that this version knows."""
    return max((rights for least, rights in FILES.items() if least <= abi), default=0)


def rule_set(
    abi: int,
    *,
    seen: Sequence[str],
    used: Sequence[str],
    listed: Sequence[str],
    written: Sequence[str],
    devices: Sequence[str],
    port: int | None,
    ports: bool,
    confined: bool,
) -> RuleSet:
    """Read `seen`, read and run `used`, look through `listed`, do all in `written`; with `ports` no TCP but to `port`.

    `confined` says whether files are governed at all, or only who gets signals.
    """
    every = handled(abi) if confined else 0
    work = every & ~MAKE_DEVICES & ~EXECUTE & ~IOCTL
    net = BIND_TCP | CONNECT_TCP if ports and abi >= 4 else 0
    scoped = ABSTRACT_SOCKETS | SIGNALS if abi >= KEEPS_SIGNALS else 0
    words = [every, *([net] if abi >= 4 else []), *([scoped] if abi >= 6 else [])]
    granted = ((seen, SEEN), (used, USED), (listed, LIST), (written, work), (devices, every & (READ | WRITE)))
    rules = [(place, rights) for places, rights in granted for place in places]
    return RuleSet(
        attributes=struct.pack(f"={len(words)}Q", *words) if any(words) else b"",
        rules=rules if every else (),
        read_file=READ,
        write_file=every & (READ | WRITE | TRUNCATE),
        folder=work,
        program=READ | EXECUTE,
        of_files=every & OF_FILES,
        port=struct.pack("=QQ", CONNECT_TCP, port) if net and port else b"",
    )
