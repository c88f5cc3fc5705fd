"""Rate limiter per caller, measured on our clock."""

from math import ceil

from secondunit.queue.clock import Clock

MOST_CALLERS = 10_000
SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0}


class RateLimit:
    """A budget a caller spends at will, and gets back evenly over its period (the generic cell rate algorithm)."""

    def __init__(self, rate: str, clock: Clock) -> None:
        amount, _, period = rate.partition("/")
        self._period = SECONDS[period]
        self._each = self._period / int(amount)
        self._clock = clock
        self._full_at: dict[str, float] = {}

    def spend(self, caller: str, cost: int = 1) -> int | None:
        """None if the call is within the rate, else after how many seconds the next one will be.

        One that costs more is let in as long as anything is left; what it costs beyond that is owed.
        """
        now = self._clock.monotonic()
        full_at = max(self._full_at.get(caller, now), now) + self._each
        # Half a call's share of slack, for sums of floats.
        over = full_at - now - self._period - self._each / 2
        if over > 0:
            return ceil(full_at - now - self._period)
        self._full_at[caller] = full_at + (cost - 1) * self._each
        if len(self._full_at) > MOST_CALLERS:
            self._forget(now)
        return None

    def _forget(self, now: float) -> None:
        """Drop callers with a full budget and, should there be too many others, those nearest to it."""
        spent = sorted((at, caller) for caller, at in self._full_at.items() if at > now)
        self._full_at = {caller: at for at, caller in spent[-MOST_CALLERS // 2 :]}
