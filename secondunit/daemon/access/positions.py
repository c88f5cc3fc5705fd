"""Position cipher: a Feistel network over numbers that count everybody's jobs and events, for those who know their own.

The number of a job, or of an event, tells how many others there are. A tenant gets a decimal that stands for it under a
secret of the database, and gives that back; what it stands for nobody else can tell.
"""

from hashlib import blake2b

ROUNDS = 4  # make of a pseudorandom function a permutation that can't be told from a random one (Luby, Rackoff 1988)
HALF = 64
MASK = (1 << 64) - 1
DIGITS, PLAIN_DIGITS = 39, 18


class Positions:
    """Numbers of one kind, `of` jobs or events, as the holder of one key (its `owner`) sees them; plain for None."""

    def __init__(self, secret: bytes, owner: str | None, of: str) -> None:
        self._key = None if owner is None else blake2b(f"{of} of {owner}".encode(), key=secret).digest()

    def shown(self, number: int, nonce: int = 0) -> str:
        """The number as it goes out; with another `nonce` (64 bits) nobody sees that it is the same number."""
        if self._key is None:
            return str(number)
        left, right = number, nonce
        for turn in range(ROUNDS):
            left, right = right, left ^ self._mixed(turn, right)
        return str(left << HALF | right)

    def read(self, text: str, *, nonce: int | None = None) -> int | None:
        """The number that was shown so, with this `nonce` if it is given; None if none ever was."""
        if not (text.isascii() and text.isdigit()) or len(text) > (PLAIN_DIGITS if self._key is None else DIGITS):
            return None
        if self._key is None:
            return int(text)
        left, right = int(text) >> HALF, int(text) & MASK
        if left > MASK:
            return None
        for turn in reversed(range(ROUNDS)):
            left, right = right ^ self._mixed(turn, left), left
        return left if left <= MASK >> 1 and nonce in (None, right) else None

    def _mixed(self, turn: int, half: int) -> int:
        mixed = blake2b(half.to_bytes(8, "big"), key=self._key or b"", salt=bytes([turn]), digest_size=8)
        return int.from_bytes(mixed.digest(), "big")
