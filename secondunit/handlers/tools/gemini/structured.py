"""Structured output: an answer as the model it was asked to fit, and a repair question when it does not; pure."""

import json
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

LONGEST_ANSWER = 400_000  # characters: more than the tokens that an answer may have can make
LONGEST_QUOTE = 20_000
MOST_FAULTS = 10

M = TypeVar("M", bound=BaseModel)


class Unfit(Exception):
    """An answer of another form than was asked for; the message lists the faults, for the model to mend them."""


def fitted(model: type[M], text: str) -> M:
    """What the answer says, or Unfit."""
    if len(text) > LONGEST_ANSWER:
        raise Unfit(f"it has {len(text)} characters, at most {LONGEST_ANSWER} are read")
    try:
        return model.model_validate_json(_bare(text))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        lines = [f"{'.'.join(map(str, fault['loc'])) or 'answer'}: {fault['msg']}" for fault in faults[:MOST_FAULTS]]
        raise Unfit("; ".join(lines)) from None


def mended(parts: Sequence[str | bytes], answer: str, faults: str) -> Sequence[str | bytes]:
    """The question again, with an answer that does not fit and what is wrong with it."""
    return [
        *parts,
        f"Your last answer can't be used. What is wrong: {faults}",
        f"Your last answer was: {json.dumps(answer[:LONGEST_QUOTE])}",
        "Answer again, with one JSON object that fits the schema.",
    ]


def _bare(text: str) -> str:
    """The text without the code fence that models put around JSON."""
    text = text.strip()
    if text.startswith("```"):
        text = text.partition("\n")[2].rpartition("```")[0]
    return text.strip()
