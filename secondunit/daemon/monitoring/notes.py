"""Notes in /health: what this box does not do by choice, which is no fault of it."""

from collections.abc import Iterator, Sequence

from secondunit.daemon.monitoring.inspection import Inspection
from secondunit.queue.sentences import say


def notes(seen: Inspection) -> Iterator[str]:
    """What this box does not do by choice, and what its start has not ended."""
    paid = paid_types(seen)
    if paid and not seen.box.gemini:
        several = "{types} are refused: GEMINI_API_KEY is not set"
        yield say(several if len(paid) > 1 else "{types} is refused: GEMINI_API_KEY is not set", types=joined(paid))
    if any(box.name == seen.box.name and box.row.drained for box in seen.boxes):
        again = f"secondunit boxes resume {seen.box.name}"
        yield say("this box is drained: it starts nothing until `{command}`", command=again)
    if seen.parts.database.unchecked:
        yield say("the database is still looked through for damage since the start; jobs run meanwhile")


def paid_types(seen: Inspection) -> Sequence[str]:
    """The types whose jobs cost money."""
    return sorted(type for type, spec in seen.types.items() if spec.paid)


def joined(texts: Sequence[str]) -> str:
    """The first and the others."""
    whole, *others = texts
    for text in others:
        whole = say("{one} and {other}", one=whole, other=text)
    return whole
