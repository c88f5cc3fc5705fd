"""Paid steps of a run's questions to Gemini: each answer is stored before it is read, so none is paid for twice."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from secondunit.handlers.tools.gemini.client import Gemini
from secondunit.handlers.tools.gemini.responses import GeminiAnswer, Usage, read
from secondunit.handlers.tools.gemini.structured import Unfit, mended
from secondunit.handlers.tools.gemini.transport import Question
from secondunit.handlers.tools.waiting import waiting
from secondunit.queue.clock import Clock
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic

# Thoughts count as output. A long answer needs some 3,000 tokens; the larger number is the most that models allow.
OUTPUT, LONGER_OUTPUT = 16_384, 65_536

T = TypeVar("T")


@dataclass(slots=True)
class Conversation:
    """The questions of one run, and the tokens that their answers took, whenever they were given.

    `done` is how far the phase is while the answer is waited for.
    """

    gemini: Gemini
    clock: Clock
    ctx: JobContext
    usage: Usage = field(default_factory=Usage)
    done: float = 0.0

    async def understand(self, step: str, question: Question, parse: Callable[[str], T]) -> T:
        """What the answer says, `parse` raising Unfit where it says nothing.

        At most three answers: one, a longer one if that was cut off, a mended one if it does not fit. Deterministic:
        "blocked", "answer_too_long", "bad_answer".
        """
        answer = await self._ask(step, question)
        if answer.cut:
            question = replace(question, max_output_tokens=LONGER_OUTPUT)
            answer = await self._ask(f"{step}-longer", question)
        try:
            return parse(answer.text)
        except Unfit as fault:
            again = replace(question, parts=mended(question.parts, answer.text, str(fault)))
        answer = await self._ask(f"{step}-repair", again)
        if answer.cut:
            raise Deterministic("Gemini's answer was cut off although it may be very long", type="answer_too_long")
        try:
            return parse(answer.text)
        except Unfit as fault:
            raise Deterministic(
                f"Gemini's answer does not fit the question, twice: {fault}", type="bad_answer"
            ) from fault

    async def _ask(self, step: str, question: Question) -> GeminiAnswer:
        """The answer to this step's question: the stored one, or a new one; Deterministic("blocked")."""
        asked = False

        async def send() -> Mapping[str, str]:
            nonlocal asked
            body = await self.gemini.ask(question)
            asked = True
            return {"body": body}

        async with waiting(self.ctx, self.clock, "waiting for Gemini", done=self.done):
            stored = await self.ctx.step(step, send, paid="repeat")
        answer = read(stored["body"])
        if asked:
            await self.gemini.count(answer.usage, question.model)
        self.usage += answer.usage
        if answer.blocked:
            raise Deterministic(f"Gemini declined to look at this video ({answer.blocked})", type="blocked")
        return answer
