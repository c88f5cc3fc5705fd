"""Gemini as all jobs share it: one gate, one budget of tokens a day, one state of trouble."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Protocol

from secondunit.handlers.tools.gemini_answers import Usage
from secondunit.handlers.tools.gemini_errors import judge
from secondunit.handlers.tools.gemini_wire import Question, Refused, Wire
from secondunit.queue.clock import Clock, Random
from secondunit.queue.outcome import Postponed

# Leaves room for the rest of the step in the 4 MiB that its stored result may have.
LONGEST_BODY = 1 << 20
JITTER = 0.2
LONGEST_JITTER = timedelta(minutes=1)


class Spending(Protocol):
    """Tokens that were used, by UTC day, remembered across restarts."""

    async def used(self, day: date) -> int: ...

    async def add(self, day: date, tokens: int) -> None: ...


class Gemini:
    """Asks one model. `trouble` says what an operator has to set right; an answer clears it.

    The budget is looked at before each question: those under way when it runs out are still answered.
    """

    def __init__(
        self,
        wire: Wire,
        model: str,
        *,
        clock: Clock,
        random: Random,
        spending: Spending,
        daily_tokens: int | None = None,
    ) -> None:
        self.model = model
        self.trouble: str | None = None
        self._wire = wire
        self._clock = clock
        self._random = random
        self._spending = spending
        self._daily_tokens = daily_tokens
        self._told: Callable[[str, int], None] = lambda direction, tokens: None
        self._closed: tuple[datetime, str] | None = None

    def listen(self, told: Callable[[str, int], None]) -> None:
        """Tell `told` the tokens of each answer, by direction: "in" and "out"."""
        self._told = told

    async def admit(self) -> None:
        """Return if a question may be asked now; else Postponed until it may, with the reason."""
        now = self._clock.now()
        if self._closed and now < self._closed[0]:
            raise self._postponed(self._closed[1], self._closed[0] - now)
        self._closed = None
        if self._daily_tokens is not None:
            used = await self._spending.used(now.date())
            if used >= self._daily_tokens:
                why = (
                    f"budget_used_up: {used} of GEMINI_DAILY_TOKENS={self._daily_tokens} are used; waiting for 0:00 UTC"
                )
                raise self._postponed(why, _tomorrow(now) - now)

    async def ask(self, question: Question) -> str:
        """The body of the answer, at most 1 MiB of it, to be read by `gemini_answers.read`.

        Every error but Unanswered says that nothing was charged. `count` takes the tokens, once the answer is safe.
        """
        await self.admit()
        try:
            body = await self._wire.send(question)
        except Refused as refused:
            refusal = judge(refused, self.model, self._clock.now())
            self.trouble = refusal.trouble or self.trouble
            if isinstance(refusal.error, Postponed):
                raise self._close(refusal.error) from refused
            raise refusal.error from refused
        self.trouble = None
        return body[:LONGEST_BODY]

    async def count(self, usage: Usage) -> None:
        """Take the tokens of an answer off the day's budget."""
        self._told("in", usage.prompt)
        self._told("out", usage.answered)
        await self._spending.add(self._clock.now().date(), usage.total)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._wire.close()

    def _close(self, asked: Postponed) -> Postponed:
        until = self._clock.now() + asked.delay
        if self._closed is None or until > self._closed[0]:
            self._closed = until, str(asked)
        return self._postponed(str(asked), asked.delay)

    def _postponed(self, why: str, wait: timedelta) -> Postponed:
        """Jitter only adds, so that those who wait don't all come back at once."""
        return Postponed(why, delay=wait + min(wait * JITTER, LONGEST_JITTER) * self._random.random())


def _tomorrow(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
