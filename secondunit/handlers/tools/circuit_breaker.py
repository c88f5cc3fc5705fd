"""Circuit breaker: what fails again and again, or asks for a pause, is left alone by everybody, ever longer; pure."""

from dataclasses import dataclass
from datetime import timedelta

from secondunit.queue.clock import Random
from secondunit.queue.retry import Backoff

THRESHOLD = 5
PAUSES = Backoff(timedelta(seconds=10), timedelta(minutes=10))  # of a service that all jobs share


@dataclass(slots=True)
class CircuitBreaker:
    """Opens at `threshold` failures in a row, for as long as `backoff` says; `now` is in seconds of its owner's clock.

    When the time is over it is half-open: the failures still count, so that the next one opens it for longer.
    """

    threshold: int = THRESHOLD
    backoff: Backoff = PAUSES
    failures: int = 0
    failure: str = ""
    until: float = 0.0
    why: str = ""

    @property
    def tripped(self) -> bool:
        """Whether it failed so often that only a success ends it."""
        return self.failures >= self.threshold

    def left(self, now: float) -> float:
        """For how many seconds it is still open, because of `why`; 0 when one may pass."""
        return max(self.until - now, 0.0)

    def failed(self, now: float, why: str = "", *, for_good: bool = False, random: Random | None = None) -> None:
        """One more failure; one that is `for_good` counts as many. `random` is for a back-off with jitter."""
        self.failures = max(self.failures + 1, self.threshold if for_good else 0)
        self.failure = why
        if self.tripped:
            times = self.failures - self.threshold
            self.pause(now, self.backoff.jittered(times, random) if random else self.backoff.wait(times), why)

    def pause(self, now: float, span: timedelta, why: str = "") -> None:
        """Be open for as long as the other side asks, or longer where that was said before."""
        until = now + span.total_seconds()
        if until > self.until:
            self.until, self.why = until, why

    def succeeded(self) -> None:
        """The row of failures is over; a pause is not, for it may have been asked for, and the success older."""
        self.failures = 0

    def half_open(self) -> None:
        """Let somebody pass now."""
        self.until = 0.0
