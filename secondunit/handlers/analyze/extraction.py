"""Recipe extraction: asks Gemini for the recipe of a film."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from secondunit.handlers.analyze.recipe import INSTRUCTIONS, SCHEMA, prompt, recipe_from
from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.gemini.client import Gemini
from secondunit.handlers.tools.gemini.conversation import OUTPUT, Conversation
from secondunit.handlers.tools.gemini.prices import cost
from secondunit.handlers.tools.gemini.responses import Usage
from secondunit.handlers.tools.gemini.transport import Question
from secondunit.queue.clock import Clock
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic
from secondunit.queue.value import Value


class FilmExcerpt(Value, frozen=True):
    """A video as the model sees it: facts, JPEG files with their seconds, and what is said from which second on."""

    info: Mapping[str, Any]
    stills: Sequence[tuple[float, Path]]
    said: Sequence[tuple[float, str]] = ()


class ExtractedRecipe(Value, frozen=True):
    """The recipe, and what all answers that led to it took; `cost` in US dollars, None when unknown."""

    recipe: Mapping[str, Any]
    usage: Usage
    cost: float | None


async def ask_for_recipe(
    gemini: Gemini, clock: Clock, ctx: JobContext, film: FilmExcerpt, language: str | None
) -> ExtractedRecipe:
    """What the film shows, as a recipe; Deterministic: as `Conversation.understand`, and "not_a_recipe"."""
    pictures = await in_thread(_read, film.stills)
    parts = prompt(film.info["title"], film.info["duration"], language, film.said, pictures)
    conversation = Conversation(gemini, clock, ctx)
    recipe = await conversation.understand("gemini", Question(INSTRUCTIONS, parts, SCHEMA, OUTPUT), recipe_from)
    if recipe.empty:
        shows = recipe.shows.strip() or "nothing that is cooked or mixed"
        raise Deterministic(f"this is not a cooking video; it shows: {shows}", type="not_a_recipe")
    return ExtractedRecipe(
        recipe.result(language), conversation.usage, cost(gemini.model, conversation.usage, clock.now().date())
    )


def _read(stills: Sequence[tuple[float, Path]]) -> Sequence[tuple[float, bytes]]:
    return [(at, path.read_bytes()) for at, path in stills]
