"""When a failed attempt is tried again: a pure function of the attempt's number."""

from datetime import timedelta
from typing import Literal

from secondunit.queue.clock import Random
from secondunit.queue.value import Value

LONGEST_DELAY = timedelta(hours=6)
JITTER = 0.2


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
        factor = 2 ** min(attempt - 1, 32) if self.backoff == "exponential" else 1
        seconds = min(self.initial_delay.total_seconds() * factor, LONGEST_DELAY.total_seconds())
        return timedelta(seconds=seconds * (1 + JITTER * random.random()))
