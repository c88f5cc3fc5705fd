"""Names for jobs: `job_` and a UUIDv7 (RFC 9562) as 26 lower-case base32 characters (RFC 4648)."""

import base64
import re
from datetime import datetime

from secondunit.queue.clock import Random

PATTERN = re.compile(r"job_[a-z2-7]{26}")


def new_job_id(now: datetime, random: Random) -> str:
    """A fresh id; the first 48 of its bits are the time in milliseconds."""
    milliseconds = int(now.timestamp() * 1000)
    raw = bytearray(milliseconds.to_bytes(6, "big") + random.randbytes(10))
    raw[6] = 0x70 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    return "job_" + base64.b32encode(raw).decode().rstrip("=").lower()
