"""Back-off: how long to wait after so many failures, and when a failed attempt is tried again; pure."""

from datetime import timedelta
from typing import Literal

from secondunit.queue.clock import Random
from secondunit.queue.value import Value

LONGEST_DELAY = timedelta(hours=6)
JITTER = 0.2


class Backoff(Value, frozen=True):
    """Waits that double from `first` up to `longest`; jitter only adds, up to that share of the wait."""

    first: timedelta
    longest: timedelta
    jitter: float = 0.0

    def wait(self, times: int) -> timedelta:
        """The wait after so many waits before it, without jitter."""
        return timedelta(seconds=self._seconds(times))

    def jittered(self, times: int, random: Random) -> timedelta:
        """The same, and a little more by chance, so that those who wait don't all come back at once."""
        return timedelta(seconds=self._seconds(times) * (1 + self.jitter * random.random()))

    def _seconds(self, times: int) -> float:
        return min(self.first.total_seconds() * 2.0 ** min(times, 64), self.longest.total_seconds())


class RetryPolicy(Value, frozen=True):
    """`max_retries` further attempts, waiting `initial_delay` before the first of them."""

    max_retries: int = 3
    backoff: Literal["exponential", "fixed"] = "exponential"
    initial_delay: timedelta = timedelta(seconds=1)

    def delay(self, attempt: int, random: Random) -> timedelta | None:
        """How long to wait after failed attempt number `attempt` (from 1), or None when no attempt is left.

        Exponential doubles (1 s, 2 s, 4 s); jitter only adds, up to a fifth.
        """
        if attempt > self.max_retries:
            return None
        times = attempt - 1 if self.backoff == "exponential" else 0
        return Backoff(self.initial_delay, LONGEST_DELAY, JITTER).jittered(times, random)
