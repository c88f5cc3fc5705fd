"""Asks Gemini for the recipe of a film: each answer is stored before it is read, so none is paid for twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from secondunit.handlers.tools.endings import in_thread
from secondunit.handlers.tools.gemini import Gemini
from secondunit.handlers.tools.gemini_answers import Answer, Usage, read
from secondunit.handlers.tools.gemini_wire import Question
from secondunit.handlers.tools.patience import waiting
from secondunit.handlers.tools.prices import cost
from secondunit.handlers.tools.recipe import INSTRUCTIONS, SCHEMA, Recipe, Unfit, mended, prompt, recipe_from
from secondunit.queue.clock import Clock
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic

# Thoughts count as output. A long recipe needs some 3,000 tokens; the larger number is the most that models allow.
OUTPUT, LONGER_OUTPUT = 16_384, 65_536


@dataclass(frozen=True, slots=True)
class Film:
    """A video as the model sees it: facts, and JPEG files with their seconds."""

    info: Mapping[str, Any]
    stills: Sequence[tuple[float, Path]]


@dataclass(frozen=True, slots=True)
class Found:
    """The recipe, and what all answers that led to it took; `cost` in US dollars, None when unknown."""

    recipe: Mapping[str, Any]
    usage: Usage
    cost: float | None


async def ask_for_recipe(gemini: Gemini, clock: Clock, ctx: JobContext, film: Film, language: str | None) -> Found:
    """At most three answers: one, a longer one if that was cut off, a mended one if it does not fit the schema.

    Deterministic: "blocked", "answer_too_long", "bad_answer", "not_a_recipe".
    """
    pictures = await in_thread(_read, film.stills)
    parts = prompt(film.info["title"], film.info["duration"], language, pictures)
    question = Question(INSTRUCTIONS, parts, SCHEMA, OUTPUT)
    talk = Talk(gemini, clock, ctx)
    answer = await talk.ask("gemini", question)
    if answer.cut:
        question = replace(question, max_output_tokens=LONGER_OUTPUT)
        answer = await talk.ask("gemini-longer", question)
    try:
        recipe = recipe_from(answer.text)
    except Unfit as fault:
        again = replace(question, parts=mended(parts, answer.text, str(fault)))
        recipe = _last(await talk.ask("gemini-repair", again))
    if recipe.empty:
        shows = recipe.shows.strip() or "nothing that is cooked or mixed"
        raise Deterministic(f"this is not a cooking video; it shows: {shows}", type="not_a_recipe")
    return Found(recipe.result(language), talk.usage, cost(gemini.model, talk.usage, clock.now().date()))


@dataclass(slots=True)
class Talk:
    """The questions of one run, and the tokens that their answers took, whenever they were given."""

    gemini: Gemini
    clock: Clock
    ctx: JobContext
    usage: Usage = field(default_factory=Usage)

    async def ask(self, step: str, question: Question) -> Answer:
        """The answer to this step's question: the stored one, or a new one; Deterministic("blocked")."""
        asked = False

        async def send() -> Mapping[str, str]:
            nonlocal asked
            body = await self.gemini.ask(question)
            asked = True
            return {"body": body}

        async with waiting(self.ctx, self.clock, "waiting for Gemini"):
            stored = await self.ctx.step(step, send, paid="repeat")
        answer = read(stored["body"])
        if asked:
            await self.gemini.count(answer.usage)
        self.usage += answer.usage
        if answer.blocked:
            raise Deterministic(f"Gemini declined to look at this video ({answer.blocked})", type="blocked")
        return answer


def _last(answer: Answer) -> Recipe:
    if answer.cut:
        raise Deterministic("Gemini's answer was cut off although it may be very long", type="answer_too_long")
    try:
        return recipe_from(answer.text)
    except Unfit as fault:
        raise Deterministic(f"Gemini's answer does not fit a recipe, twice: {fault}", type="bad_answer") from fault


def _read(stills: Sequence[tuple[float, Path]]) -> Sequence[tuple[float, bytes]]:
    return [(at, path.read_bytes()) for at, path in stills]
