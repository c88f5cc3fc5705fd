"""Text of an access key: `su_`, a public prefix, and 256 random bits."""

import hashlib
import re
from base64 import b32encode, urlsafe_b64encode

from secondunit.queue.clock import Random

PREFIX_BYTES, SECRET_BYTES = 5, 32
KEY = re.compile(r"su_([a-z2-7]{8})_[A-Za-z0-9_-]{43}")


def new_key(random: Random) -> str:
    """A fresh key; `random` must be one that nobody can foresee."""
    prefix = b32encode(random.randbytes(PREFIX_BYTES)).decode().lower()
    secret = urlsafe_b64encode(random.randbytes(SECRET_BYTES)).decode().rstrip("=")
    return f"su_{prefix}_{secret}"


def prefix_of(key: str) -> str | None:
    """The public part of what has the form of a key."""
    found = KEY.fullmatch(key)
    return found[1] if found else None


def digest_of(key: str) -> bytes:
    """What is kept of a key; 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
