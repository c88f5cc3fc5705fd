"""Names for jobs: `job_` and a UUIDv7 (RFC 9562) as 26 lower-case base32 characters (RFC 4648)."""

import re
from datetime import datetime
from itertools import product

from secondunit.queue.clock import Random

PATTERN = re.compile(r"job_[a-z2-7]{26}")
PAIRS = ["".join(pair) for pair in product("abcdefghijklmnopqrstuvwxyz234567", repeat=2)]


def new_job_id(now: datetime, random: Random) -> str:
    """A fresh id; the first 48 of its bits are the time in milliseconds."""
    milliseconds = int(now.timestamp() * 1000)
    raw = milliseconds << 80 | int.from_bytes(random.randbytes(10), "big")
    raw = raw & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62
    padded = raw << 2  # to 26 digits of 5 bits, written two at a time: base64.b32encode takes five times as long
    return "job_" + "".join([PAIRS[padded >> shift & 0x3FF] for shift in range(120, -1, -10)])
