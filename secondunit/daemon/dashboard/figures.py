"""Figures that the pages show and the API's context does not hold: what is wrong, and what was spent."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from secondunit.daemon.monitoring.conditions import Condition, ConditionsSeen
from secondunit.queue.instrumentation import Fact


class SeenConditions:
    """An instrumentation sink that remembers what was wrong at the last visit."""

    def __init__(self) -> None:
        self.now: Sequence[Condition] = ()

    def __call__(self, fact: Fact) -> None:
        if isinstance(fact, ConditionsSeen):
            self.now = fact.conditions


async def no_budget() -> tuple[int, int] | None:
    """Where nothing is paid for, or without a limit."""
    return None


@dataclass(frozen=True, slots=True)
class Figures:
    """`budget` are today's tokens: used, and allowed."""

    conditions: SeenConditions
    budget: Callable[[], Awaitable[tuple[int, int] | None]] = no_budget
