"""Subtitle cue: the unit that every format is read into."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that are said from `start` to `end`, in seconds."""

    start: float
    end: float
    text: str
