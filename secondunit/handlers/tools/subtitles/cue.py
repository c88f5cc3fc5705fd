"""Subtitle cue: the unit that every format is read into, and the bounds of what is kept of a video's."""

from dataclasses import dataclass
from pathlib import Path

# Some thirty hours of speech. A longer cue becomes several; one cue more than are read says that there were more.
MOST_CUES, LONGEST_CUE, MOST_BYTES = 50_000, 2_000, 4 << 20


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that are said from `start` to `end`, in seconds."""

    start: float
    end: float
    text: str


def cues_file(file: Path) -> Path:
    """Where the cues of the subtitles in `file` are written, a JSON list [start, end, text] a line."""
    return file.with_name(f"{file.name}.cues")
