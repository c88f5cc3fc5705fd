"""Log throttle: a line for each thing that is told; in a flood a line a second, with their number."""

import structlog

from secondunit.queue.clock import Clock

LINES_AT_ONCE, LINES_A_SECOND = 30, 1.0

log = structlog.get_logger(__name__)


class BoundedLog:
    """Tells of one kind of event by warnings; `did` begins each of its lines."""

    def __init__(self, event: str, did: str, clock: Clock) -> None:
        self._event = event
        self._did = did
        self._clock = clock
        self._lines = float(LINES_AT_ONCE)
        self._asked_at = clock.monotonic()
        self._untold = 0

    def tell(self, why: str) -> None:
        """One more."""
        self._untold += 1
        now = self._clock.monotonic()
        self._lines = min(self._lines + (now - self._asked_at) * LINES_A_SECOND, LINES_AT_ONCE)
        self._asked_at = now
        if self._lines >= 1:
            others = f", and {self._untold - 1} others since the line before" if self._untold > 1 else ""
            log.warning(self._event, message=f"{self._did}: {why}{others}", number=self._untold)
            self._lines, self._untold = self._lines - 1, 0
