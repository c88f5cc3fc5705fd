"""Figures that the pages show and the API's context does not hold: what was spent on language models."""

from collections.abc import Awaitable, Callable
from datetime import date

from secondunit.handlers.tools.gemini.client import TokensUsed
from secondunit.handlers.tools.gemini.prices import cost
from secondunit.queue.clock import Clock
from secondunit.queue.instrumentation import Fact
from secondunit.queue.value import Value


class Spending:
    """An instrumentation sink that adds up what the answers of today (UTC) cost, since the daemon began at the most."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._day: date | None = None
        self._dollars = 0.0

    def __call__(self, fact: Fact) -> None:
        if isinstance(fact, TokensUsed):
            dollars, today = self.dollars, self._clock.now().date()
            self._day, self._dollars = today, dollars + (cost(fact.model, fact.usage, today) or 0.0)

    @property
    def dollars(self) -> float:
        """US dollars by this version's price list; a model without a price counts for nothing."""
        return self._dollars if self._day == self._clock.now().date() else 0.0


async def no_budget() -> tuple[int, int] | None:
    """Where nothing is paid for, or without a limit."""
    return None


class Figures(Value, frozen=True):
    """`budget` are today's tokens: used, and allowed."""

    spending: Spending
    budget: Callable[[], Awaitable[tuple[int, int] | None]] = no_budget
