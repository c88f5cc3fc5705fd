"""System randomness, drawn in stocks: a call of its own for each job's id costs more than the id."""

from random import SystemRandom

STOCK = 4096


class StockedRandom(SystemRandom):
    """As SystemRandom, for one thread; `randbytes` serves small wishes from a stock, and no byte twice."""

    def __init__(self) -> None:
        super().__init__()
        self._stock = b""
        self._used = 0

    def randbytes(self, n: int) -> bytes:
        """This many random bytes."""
        if self._used + n > len(self._stock):
            self._stock = super().randbytes(max(n, STOCK))
            self._used = 0
        self._used += n
        return self._stock[self._used - n : self._used]
