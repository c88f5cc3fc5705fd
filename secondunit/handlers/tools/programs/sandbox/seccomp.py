"""Seccomp filter: classic BPF by hand, for what Landlock does not govern (linux/seccomp.h, linux/filter.h).

A program that calls by another architecture's numbers is killed. What is refused gets an errno, so that it can do
without: ENOSYS where a library then takes an older call.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from secondunit.handlers.tools.programs.sandbox import syscalls as calls
from secondunit.queue.value import Value

# "lent": who wants to connect gets a connection to the proxy, from the launcher; "internet": all but local sockets.
Network = Literal["none", "lent", "proxy", "internet", "any"]

LOAD, AND = 0x20, 0x54  # BPF_LD|W|ABS, BPF_ALU|AND|K
EQUAL, ABOVE, SOME_BIT, RETURN = 0x15, 0x25, 0x45, 0x06
NUMBER, ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
ALLOW, KILL, NOTIFY = 0x7FFF0000, 0x80000000, 0x7FC00000
EPERM, EACCES, ENOSYS = 0x50001, 0x5000D, 0x50026
AF_UNIX, AF_INET, AF_INET6, SOCK_STREAM, SOCK_SEQPACKET, KIND_OF_SOCKET = 1, 2, 10, 1, 5, 0xF
FAST_OPEN = 0x20000000  # MSG_FASTOPEN connects while it sends
NEW_NAMESPACES = 0x7E020000  # CLONE_NEW*, but for time namespaces, which only unshare and clone3 make
READ_ONLY_TRUNCATION, O_TRUNC = 0x203, 0x200
# Where the launcher writes the program's own process id, which nobody knows before.
OWN_PID = 0x5EC0D0A7


@dataclass(frozen=True, slots=True)
class Refusals:
    """What a program is refused beside what all are.

    `names`: to change files by name, without opening them; `modes`: those of open files; `signals`: to others than
    itself ("tree": than what its launcher started, which judges it); `servers`: to listen, and local sockets at all.
    """

    names: bool = True
    modes: bool = True
    signals: Literal["own", "tree", "any"] = "own"
    namespaces: bool = True
    servers: bool = True
    shared_memory: bool = True


class Instruction(Value, frozen=True):
    """An instruction; `yes` and `no` are how many of the following ones are skipped."""

    code: int
    k: int
    yes: int = 0
    no: int = 0


@cache
def assembled(refusals: Refusals, network: Network, machine: str) -> bytes:
    """The filter as the kernel takes it."""
    place = calls.MACHINES[machine]
    steps = [
        Instruction(LOAD, ARCHITECTURE),
        Instruction(EQUAL, place.audit, yes=1),
        _give(KILL),
        Instruction(LOAD, NUMBER),
    ]
    steps += _when(ABOVE, calls.NEWEST, _give(ENOSYS))
    for errno, numbers in _plain(refusals, network, place.column):
        for number in numbers:
            steps += _when(EQUAL, number, _give(errno))
    for number, judged in _judged(refusals, network, place.column):
        steps += _when(EQUAL, number, *judged)
    return b"".join(struct.pack("=HBBI", step.code, step.yes, step.no, step.k) for step in [*steps, _give(ALLOW)])


def _give(verdict: int) -> Instruction:
    return Instruction(RETURN, verdict)


def _when(code: int, k: int, *then: Instruction) -> list[Instruction]:
    """Do these, which must end in a verdict, if the loaded word is so."""
    return [Instruction(code, k, no=len(then)), *then]


def _plain(refusals: Refusals, network: Network, column: int) -> Iterator[tuple[int, Iterable[int]]]:
    """What is refused whatever its arguments are."""

    def numbers(*tables: Mapping[str, tuple[int | None, int | None]]) -> Iterable[int]:
        return sorted(number for table in tables for row in table.values() if (number := row[column]) is not None)

    yield EPERM, numbers(calls.NEVER)
    yield ENOSYS, numbers(calls.ABSENT)
    if refusals.names:
        yield EPERM, numbers(calls.BY_NAME)
    if refusals.modes:
        yield EPERM, numbers(calls.BY_DESCRIPTOR)
    if refusals.signals != "any":
        yield EPERM, numbers(calls.SIGNALS)
    if refusals.namespaces:
        yield EPERM, numbers(calls.NAMESPACES)
        yield ENOSYS, numbers(calls.CLONE3)
    if refusals.shared_memory:
        yield ENOSYS, numbers(calls.SHARED_MEMORY)
    if network not in ("internet", "any") and refusals.servers:
        yield EACCES, numbers(calls.SERVING)


def _judged(refusals: Refusals, network: Network, column: int) -> Iterator[tuple[int, list[Instruction]]]:
    """What is refused for its arguments: call numbers, and the verdict's steps."""
    for name, row in calls.OWN_ONLY.items():
        if refusals.signals == "own":
            yield row[column], [_argument(0), *_only(OWN_PID, EPERM)]
        if refusals.signals == "tree":
            yield row[column], [_give(NOTIFY if name in calls.ASKED else EPERM)]
    for row, index in calls.ZERO_ONLY.values():
        yield row[column], [_argument(index), *_only(0, EPERM)]
    if refusals.namespaces:
        yield calls.CLONE[column], [_argument(0), *_unless(NEW_NAMESPACES, EPERM)]
    for openings, index in calls.OPENING.values():
        number = openings[column]
        if refusals.names and number is not None:
            yield number, [_argument(index), Instruction(AND, READ_ONLY_TRUNCATION), *_but(O_TRUNC, EACCES)]
    if network != "any":
        yield from _sockets(refusals, network, column)


def _sockets(refusals: Refusals, network: Network, column: int) -> Iterator[tuple[int, list[Instruction]]]:
    if network == "internet":
        # Not the sockets of the account's other processes; programs of its own may talk in pairs.
        yield calls.SOCKET[column], [_argument(0), *_but(AF_UNIX, EACCES)]
    elif network == "none":
        yield calls.SOCKET[column], [_give(EACCES)]
        yield calls.CONNECT[column], [_give(EACCES)]
    else:
        families = (AF_INET, AF_INET6) if refusals.servers else (AF_INET, AF_INET6, AF_UNIX)
        known = [Instruction(EQUAL, one, yes=len(families) - n) for n, one in enumerate(families)]
        yield (
            calls.SOCKET[column],
            [
                _argument(0),
                *known,
                _give(EACCES),
                _argument(1),
                Instruction(AND, KIND_OF_SOCKET),
                *_only(SOCK_STREAM, EACCES),
            ],
        )
        yield calls.CONNECT[column], [_give(NOTIFY if network == "lent" else ALLOW)]
    # A pair of datagram sockets could each be turned to anybody else.
    pair = [Instruction(EQUAL, AF_UNIX, yes=1), _give(EACCES), _argument(1), Instruction(AND, KIND_OF_SOCKET)]
    kinds = [Instruction(EQUAL, SOCK_SEQPACKET, no=1), _give(ALLOW), *_only(SOCK_STREAM, EACCES)]
    yield calls.SOCKETPAIR[column], [_argument(0), *pair, *kinds]
    if network != "internet":
        whole = [
            Instruction(LOAD, 16 + 8 * 4),
            Instruction(EQUAL, 0, yes=1),
            _give(EACCES),
            Instruction(LOAD, 20 + 8 * 4),
            *_only(0, EACCES),
        ]
        yield calls.SENDTO[column], whole
        yield calls.SENDMSG[column], [_argument(2), *_unless(FAST_OPEN, EACCES)]
        yield calls.SENDMMSG[column], [_argument(3), *_unless(FAST_OPEN, EACCES)]


def _argument(index: int) -> Instruction:
    """Load the lower half of an argument: all that the kernel itself looks at of an int."""
    return Instruction(LOAD, 16 + 8 * index)


def _only(k: int, verdict: int) -> list[Instruction]:
    return [Instruction(EQUAL, k, yes=1), _give(verdict), _give(ALLOW)]


def _but(k: int, verdict: int) -> list[Instruction]:
    return [Instruction(EQUAL, k, no=1), _give(verdict), _give(ALLOW)]


def _unless(bits: int, verdict: int) -> list[Instruction]:
    return [Instruction(SOME_BIT, bits, no=1), _give(verdict), _give(ALLOW)]
