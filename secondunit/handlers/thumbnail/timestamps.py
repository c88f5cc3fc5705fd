"""Timestamp parser, and the moments of a video that are tried for it; pure."""

import re

from secondunit.queue.value import Value

CLOCK = re.compile(r"(?:(\d{1,3}):)?([0-5]?\d):([0-5]?\d(?:\.\d{1,9})?)", re.ASCII)
SECONDS = re.compile(r"\d{1,7}(?:\.\d{1,9})?", re.ASCII)
PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)%", re.ASCII)
LATEST = 10_000_000
CANDIDATES = (0.10, 0.25, 0.50, 0.75)
# Where nobody knows the length.
BLIND = (10.0, 3.0, 1.0, 0.0)
FORMATS = 'HH:MM:SS, seconds, a percentage such as "25%", or "auto"'


class At(Value, frozen=True):
    """So many seconds from the start."""

    seconds: float


class Share(Value, frozen=True):
    """A share of the whole length, 0 to 1."""

    of: float


class Auto(Value, frozen=True):
    """Wherever the picture is not black."""


Timestamp = At | Share | Auto


def parse(timestamp: str | float) -> Timestamp:
    """The moment that a string, or a number of seconds, says; ValueError for anything else."""
    if not isinstance(timestamp, str):
        if not 0 <= timestamp < LATEST:
            raise ValueError(f"{timestamp} is not a number of seconds from the start")
        return At(float(timestamp))
    text = timestamp.strip()
    if text == "auto":
        return Auto()
    if match := PERCENT.fullmatch(text):
        if float(match[1]) > 100:
            raise ValueError(f"{text} is more than the whole video")
        return Share(float(match[1]) / 100)
    if SECONDS.fullmatch(text):
        return At(float(text))
    if match := CLOCK.fullmatch(text):
        return At(int(match[1] or 0) * 3600 + int(match[2]) * 60 + float(match[3]))
    raise ValueError(f"{text[:40]!r} is not a timestamp: write {FORMATS}")


def moments(timestamp: Timestamp, duration: float | None) -> tuple[float, ...]:
    """The seconds to try, in order."""
    match timestamp:
        case At(seconds):
            return (seconds,)
        case Share(of):
            return (of * (duration or 0),)
        case Auto():
            return tuple(share * duration for share in CANDIDATES) if duration else BLIND
