"""Connection limits: how many connections and event streams there may be, in all and of one client.

What else the process's descriptors are needed for is kept: the queue, the jobs that run, the answers under way.
"""

import resource

from secondunit.queue.value import Value

KEPT, KEPT_A_JOB = 128, 16  # database, log, who is being turned away; pipes, files and sockets of a run
CONTROL = 64
FEWEST = 8


class ConnectionLimits(Value, frozen=True):
    """At most so many connections in all, of one address (of IPv6: a network of 64 bits), of one key; so of streams."""

    total: int = 4096
    of_address: int = 256
    of_key: int = 2048
    streams: int = 3072
    streams_of_key: int = 1024
    streams_of_address: int = 256


USUAL = ConnectionLimits()


def public_limits(total: int, of_address: int, streams_of_key: int, jobs: int, descriptors: int) -> ConnectionLimits:
    """The API's own; whatever is set, descriptors are left to so many `jobs`, and to others half of all places."""
    kept = min(KEPT + KEPT_A_JOB * jobs, descriptors // 2) + control_limits(descriptors).total
    room = max(FEWEST, min(total, descriptors - kept))
    half = room // 2
    streams, of_address_alone = min(streams_of_key, half), min(max(1, streams_of_key // 4), half)
    return ConnectionLimits(room, min(of_address, half), half, room * 3 // 4, streams, of_address_alone)


def control_limits(descriptors: int) -> ConnectionLimits:
    """The control socket's: a small share of its own, so that its owner gets in whatever happens at the other."""
    room = max(FEWEST, min(CONTROL, descriptors // 16))
    return ConnectionLimits(room, room, room, room // 2, room // 2, room // 2)


def descriptors_allowed() -> int:
    """How many descriptors this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 30 if soft == resource.RLIM_INFINITY else soft
