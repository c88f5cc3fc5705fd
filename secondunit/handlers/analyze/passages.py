"""Transcript passages: subtitles as a model is told of them, short, with their times, not too many; pure."""

from collections.abc import Iterator, Sequence

from secondunit.handlers.tools.subtitles.cue import Cue

MOST = 24_000  # characters
SPAN, LONGEST = 10.0, 300  # seconds and characters of a passage
Passage = tuple[float, str]


def passages(cues: Sequence[Cue], most: int = MOST) -> Sequence[Passage]:
    """What is said, each passage with the second at which it begins; too much of it is thinned evenly, not cut off."""
    whole = list(_joined(cues))
    total = sum(len(text) for _, text in whole)
    if total <= most:
        return whole
    kept: list[Passage] = []
    seen = room = 0
    for at, text in whole:
        seen += len(text)
        if room + len(text) <= most * seen / total:
            room += len(text)
            kept.append((at, text))
    return kept


def _joined(cues: Sequence[Cue]) -> Iterator[Passage]:
    """Neighbouring cues as one passage, until it spans enough."""
    begin, words = 0.0, ""
    for at, text in ((cue.start, part) for cue in cues for part in _parts(cue.text)):
        if words and (at - begin >= SPAN or len(words) + len(text) >= LONGEST):
            yield begin, words
            words = ""
        begin, words = (begin, f"{words} {text}") if words else (at, text)
    if words:
        yield begin, words


def _parts(text: str) -> Iterator[str]:
    return (text[at : at + LONGEST] for at in range(0, len(text), LONGEST))
