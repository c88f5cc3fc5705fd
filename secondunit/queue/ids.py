"""Ids of jobs and batches: `job_`, `batch_`, and a UUIDv7 (RFC 9562) in 26 lower-case base32 characters (RFC 4648)."""

import re
from datetime import datetime
from functools import lru_cache
from itertools import product

from secondunit.queue.clock import Random

PATTERN = re.compile(r"job_[a-z2-7]{26}")
PAIRS = ["".join(pair) for pair in product("abcdefghijklmnopqrstuvwxyz234567", repeat=2)]
SHIFTS = range(70, -1, -10)


def new_job_id(now: datetime, random: Random) -> str:
    """A fresh id; the first 48 of its bits are the time in milliseconds."""
    noise = int.from_bytes(random.randbytes(10), "big")
    version_7 = noise & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62
    # 128 bits are 25.6 digits of 5 bits. They are written two at a time, since base64.b32encode takes five times as
    # long, and the first ten, for the time and half of the version, once a millisecond.
    tail = version_7 << 2
    return _head(int(now.timestamp() * 1000)) + "".join([PAIRS[tail >> shift & 0x3FF] for shift in SHIFTS])


def new_batch_id(now: datetime, random: Random) -> str:
    """A fresh id for a batch."""
    return new_job_id(now, random).replace("job_", "batch_")


def box_of(boot: str) -> str:
    """The box that a boot's name begins with, and its slash; nothing where it names none."""
    box, slash, _ = boot.rpartition("/")
    return box + slash


@lru_cache(maxsize=16)  # a daemon's own, at each end of a run
def ran_on(boot: str) -> str | None:
    """The box whose daemon ran what is leased so; None where there is but one, and for what a remote worker ran."""
    return None if boot.startswith("remote ") else box_of(boot).removesuffix("/") or None


@lru_cache(maxsize=1)
def _head(milliseconds: int) -> str:
    bits = milliseconds << 2 | 0x7 >> 2
    return "job_" + "".join(PAIRS[bits >> shift & 0x3FF] for shift in range(40, -1, -10))
