"""Gemini client that all jobs share: back-off per model, one budget of tokens a day, one state of trouble."""

from datetime import date, datetime, timedelta
from typing import Protocol

from secondunit.handlers.tools.circuit_breaker import CircuitBreaker
from secondunit.handlers.tools.gemini.errors import judge
from secondunit.handlers.tools.gemini.model_names import model_name
from secondunit.handlers.tools.gemini.responses import Usage
from secondunit.handlers.tools.gemini.transport import GeminiHttpError, GeminiTransport, Question
from secondunit.queue.clock import Clock, Random
from secondunit.queue.instrumentation import Fact, Sink, piece, unheard
from secondunit.queue.outcome import Postponed, Transient

# Leaves room for the rest of the step in the 4 MiB that its stored result may have.
LONGEST_BODY = 1 << 20
JITTER = 0.2
LONGEST_JITTER = timedelta(minutes=1)
DOWN_AFTER = 3  # failures one after the other are trouble, before so many that everybody waits


class Spending(Protocol):
    """Tokens that were used, by UTC day, remembered across restarts."""

    async def used(self, day: date) -> int: ...

    async def add(self, day: date, tokens: int) -> None: ...


class TokensUsed(Fact, frozen=True):
    """The tokens of one answer of a language model, of this one where that is known."""

    usage: Usage
    model: str = ""


class Gemini:
    """Asks `model`, or the one that a question names.

    The budget is looked at before each question: those under way when it runs out are still answered.
    """

    def __init__(
        self,
        transport: GeminiTransport,
        model: str,
        *,
        clock: Clock,
        random: Random,
        spending: Spending,
        daily_tokens: int | None = None,
        emit: Sink = unheard,
    ) -> None:
        self.model = model_name(model)
        self._wrong: str | None = None
        self._transport = transport
        self._clock = clock
        self._random = random
        self._spending = spending
        self._daily_tokens = daily_tokens
        self._emit = emit
        self._breakers: dict[str, CircuitBreaker] = {}

    @property
    def trouble(self) -> str | None:
        """Why `model` does not answer: what an operator has to set right, a pause it asked for, failure upon failure.

        An answer of `model` clears it.
        """
        breaker = self._breaker(self.model)
        if self._wrong or breaker.left(self._clock.now().timestamp()):
            return self._wrong or breaker.why
        return breaker.failure if breaker.failures >= DOWN_AFTER else None

    @property
    def refused(self) -> bool:
        """Whether the trouble is one that only the operator can end."""
        return self._wrong is not None

    async def admit(self, model: str | None = None) -> None:
        """Return if a question may be asked now; else Postponed until it may, with the reason."""
        now = self._clock.now()
        breaker = self._breakers.get(model_name(model or self.model))
        if breaker and (left := breaker.left(now.timestamp())):
            raise self._postponed(breaker.why, timedelta(seconds=left))
        if why := await self.used_up():
            raise self._postponed(f"budget_used_up: {why}; waiting for 0:00 UTC", _tomorrow(now) - now)

    async def used_up(self) -> str | None:
        """Why nothing more is asked today; None while the budget lasts."""
        used, limit = await self.budget() or (0, 1)
        return f"{used} of GEMINI_DAILY_TOKENS={limit} are used" if used >= limit else None

    async def budget(self) -> tuple[int, int] | None:
        """The tokens used today, and how many may be; None without a limit."""
        if self._daily_tokens is None:
            return None
        return await self._spending.used(self._clock.now().date()), self._daily_tokens

    async def ask(self, question: Question) -> str:
        """The body of the answer, at most 1 MiB of it, to be read by `gemini_answers.read`.

        Every error but Unanswered says that nothing was charged. `count` takes the tokens, once the answer is safe.
        """
        model = model_name(question.model or self.model)
        await self.admit(model)
        try:
            with piece("call", "gemini", model=model):
                body = await self._transport.send(question)
        except GeminiHttpError as refused:
            refusal = judge(refused, model, self._clock.now(), chosen=model != self.model)
            self._wrong = refusal.trouble or self._wrong
            if isinstance(refusal.error, Postponed):
                raise self._pause(model, refusal.error) from refused
            self._failed(model, refusal.error)
            raise refusal.error from refused
        except Transient as error:
            self._failed(model, error)
            raise
        if model == self.model:
            self._wrong = None
            self._breaker(model).succeeded()
        return body[:LONGEST_BODY]

    async def count(self, usage: Usage, model: str | None = None) -> None:
        """Take the tokens of an answer, of `model` or the one it names, off the day's budget."""
        self._emit(TokensUsed(usage, model_name(model or self.model)))
        await self._spending.add(self._clock.now().date(), usage.total)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._transport.close()

    def _failed(self, model: str, error: Exception) -> None:
        if model == self.model and isinstance(error, Transient):
            self._breaker(model).failed(self._clock.now().timestamp(), f"gemini_down: {error}")

    def _pause(self, model: str, asked: Postponed) -> Postponed:
        now = self._clock.now().timestamp()
        self._breakers = {name: each for name, each in self._breakers.items() if name == self.model or each.left(now)}
        self._breaker(model).pause(now, asked.delay, str(asked))
        return self._postponed(str(asked), asked.delay)

    def _breaker(self, model: str) -> CircuitBreaker:
        return self._breakers.setdefault(model, CircuitBreaker())

    def _postponed(self, why: str, wait: timedelta) -> Postponed:
        """Jitter only adds, so that those who wait don't all come back at once."""
        return Postponed(why, delay=wait + min(wait * JITTER, LONGEST_JITTER) * self._random.random())


def _tomorrow(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
