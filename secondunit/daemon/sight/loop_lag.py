"""Event loop lag, as it was measured each second: the last figure, and the largest of the last minute."""

from collections import deque

from secondunit.daemon.process.lifecycle import LoopLagged
from secondunit.queue.instrumentation import Fact

A_MINUTE = 60  # figures


class LoopLag:
    """A sink that keeps a minute of figures, in seconds; None before the first."""

    def __init__(self) -> None:
        self._figures: deque[float] = deque(maxlen=A_MINUTE)

    def __call__(self, fact: Fact) -> None:
        """Hear what was measured."""
        if isinstance(fact, LoopLagged):
            self._figures.append(round(fact.seconds, 4))

    @property
    def last(self) -> float | None:
        """The newest figure."""
        return self._figures[-1] if self._figures else None

    @property
    def largest(self) -> float | None:
        """The largest one."""
        return max(self._figures, default=None)
