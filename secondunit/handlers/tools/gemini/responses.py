"""Response parser of Gemini: its text, how it ended, and what it cost in tokens; pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from secondunit.queue.value import Value

BLOCKED = {
    "SAFETY",
    "RECITATION",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
}
CUT = "MAX_TOKENS"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens: `output` is the visible answer, `thoughts` what the model thought before it."""

    prompt: int = 0
    output: int = 0
    thoughts: int = 0
    total: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt + other.prompt,
            self.output + other.output,
            self.thoughts + other.thoughts,
            self.total + other.total,
        )

    @property
    def answered(self) -> int:
        """Tokens that are charged as output."""
        return self.output + self.thoughts


class GeminiAnswer(Value, frozen=True):
    """`blocked` says why Gemini would not answer; `cut` that the answer was longer than it may be.

    `model` is what answered, as it calls itself.
    """

    text: str
    blocked: str | None
    cut: bool
    usage: Usage
    model: str = ""


def read(body: str) -> GeminiAnswer:
    """The answer in a body; one that is no JSON, or of another shape, is an answer without text."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    found = _mapping(found)
    candidate = _mapping(next(iter(_list(found.get("candidates"))), None))
    finish = str(candidate.get("finishReason", ""))
    blocked = _mapping(found.get("promptFeedback")).get("blockReason") or (finish if finish in BLOCKED else None)
    return GeminiAnswer(
        text=_text(_list(_mapping(candidate.get("content")).get("parts"))),
        blocked=str(blocked) if blocked else None,
        cut=finish == CUT,
        usage=_usage(_mapping(found.get("usageMetadata"))),
        model=str(found.get("modelVersion") or ""),
    )


def _text(parts: Iterable[Any]) -> str:
    texts = (str(part.get("text") or "") for part in map(_mapping, parts) if not part.get("thought"))
    return "".join(texts).strip()


def _usage(figures: Mapping[str, Any]) -> Usage:
    def tokens(name: str) -> int:
        value = figures.get(name)
        return value if isinstance(value, int) and value > 0 else 0

    prompt, output = tokens("promptTokenCount"), tokens("candidatesTokenCount")
    thoughts = tokens("thoughtsTokenCount")
    return Usage(prompt, output, thoughts, tokens("totalTokenCount") or prompt + output + thoughts)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
