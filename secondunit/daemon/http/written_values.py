"""Values as callers write them: an instant, a whole number, a name, words; each in one spelling of its kind."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

MOST_WORDS = 1000
MOST_DIGITS = 20


def instant_of(value: object) -> datetime | None:
    """The moment that an ISO 8601 text with a zone means, in UTC; ValueError for anything else."""
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value if isinstance(value, str) else "")
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("should be an ISO 8601 time, such as 2026-01-22T12:00:00Z") from None
    raise ValueError("should say its time zone, such as 2026-01-22T12:00:00Z")


def words(value: object) -> object:
    """One word, several with commas, or a list of such: `status=queued,running`."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return value
    if sum(1 + text.count(",") for text in texts) > MOST_WORDS:
        raise ValueError(f"should be at most {MOST_WORDS} words")
    # An empty text is no word where words are listed one by one; one between two commas is none at all.
    return [word.strip() for text in texts for word in text.split(",") if word.strip() or (texts is value and not text)]


def printable(value: str) -> str:
    """A name for people, on one line and as it is shown."""
    if not value.isprintable() or value != value.strip():
        raise ValueError("should be printable, without blanks at its ends")
    return value


def digits(value: object) -> object:
    """A whole number as a query writes it: digits, where a lenient parser also takes `1_0`, ` 5` and `5.0`."""
    if not isinstance(value, str):
        return value
    if len(value) > MOST_DIGITS or not (value.isascii() and value.removeprefix("-").isdigit()):
        raise ValueError("should be a whole number")
    return int(value)


Instant = Annotated[datetime, BeforeValidator(instant_of), WithJsonSchema({"type": "string", "format": "date-time"})]
Digits = BeforeValidator(digits)
