"""Transcript compression: short enough for a model, with a time about every 30 seconds; pure.

Fillers, repetitions and marks of sounds always go. Where the rest is longer than one question may be, each stretch of
30 seconds keeps its most telling lines, COMPRESSION_RATIO of the text at the least.
"""

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from secondunit.handlers.locations.strategy import COMPRESSION_RATIO
from secondunit.handlers.tools.subtitles.cue import Cue
from secondunit.handlers.tools.subtitles.timecodes import mm_ss
from secondunit.queue.value import Value

BUDGET = 8_000  # tokens of one question's transcript
SPAN = 30.0
LONGEST_LINE, FULLEST_SEGMENT = 300, 500  # characters, tokens
REMEMBERED = 8

# An estimate, for models that split text as Gemini does: 4 characters a token in Latin letters, 2 in other alphabets,
# 1.25 in Chinese, Japanese and Korean.
WIDE = "\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
IS_WIDE = re.compile(f"[{WIDE}]")
IS_OTHER = re.compile("[\u0370-\u10ff\u1200-\u1fff]")
WORD = re.compile(f"[{WIDE}]|[^\\W{WIDE}]+")
TERM = re.compile(f"(?=([{WIDE}]{{2}}))|([^\\W{WIDE}]+)")

SOUND = re.compile(r"\[[^\]]{0,60}\]|[♪♫]+|^\s*\([^)]{0,40}\)\s*$|(?:^|\s)(?:>>+|-)\s")
SPACE = re.compile(r"\s+")
FILLERS = {
    "en": re.compile(r"\b(?:u+m+|u+h+|erm?|h+m+|mhm|you know|i mean)\b,?", re.IGNORECASE),
    "de": re.compile(r"\b(?:ä+hm*|h+m+)\b,?", re.IGNORECASE),
    "fr": re.compile(r"\b(?:euh+|h+m+)\b,?", re.IGNORECASE),
    "es": re.compile(r"\b(?:e+h+|e+m+)\b,?", re.IGNORECASE),
    "zh": re.compile("[嗯呃]+[，、]?"),
    "ja": re.compile("(?:えーっ?と|えっと|あのー|うーん|えー)、?"),
    "ko": re.compile(r"\b(?:음+|어{2,})\b,?"),
}


@dataclass(frozen=True, slots=True)
class TranscriptSegment:
    """A stretch of some 30 seconds and the lines that are said in it."""

    start: float
    end: float
    lines: Sequence[str]


class Chunk(Value, frozen=True):
    """As many segments as fit one question, each as `[mm:ss] words`, one a line."""

    start: float
    end: float
    text: str


def tokens(text: str) -> int:
    """About how many tokens a model sees in it."""
    wide, other = len(IS_WIDE.findall(text)), len(IS_OTHER.findall(text))
    return ceil(wide * 0.8 + other / 2 + (len(text) - wide - other) / 4)


def segments(cues: Iterable[Cue], language: str) -> Sequence[TranscriptSegment]:
    """What is said, in the order of its times, without what says nothing."""
    found: list[TranscriptSegment] = []
    size = 0
    for cue in _lines(cues, language):
        weight = tokens(cue.text)
        if found and cue.start < found[-1].start + SPAN and size + weight <= FULLEST_SEGMENT:
            last = found[-1]
            found[-1] = TranscriptSegment(last.start, max(last.end, cue.end), [*last.lines, cue.text])
            size += weight
        else:
            found.append(TranscriptSegment(cue.start, max(cue.start, cue.end), [cue.text]))
            size = weight
    return found


def share(whole: Sequence[TranscriptSegment], budget: int = BUDGET) -> float:
    """How much of each segment to keep: all where one question holds it, else COMPRESSION_RATIO or what it holds."""
    size = sum(tokens(_stamped(segment)) for segment in whole)
    return 1.0 if size <= budget else max(COMPRESSION_RATIO, budget / size)


def commonness(whole: Iterable[TranscriptSegment]) -> Mapping[str, int]:
    """In how many lines each word is said; names of places are in few."""
    return Counter(term for segment in whole for line in segment.lines for term, _ in set(_terms(line)))


def condensed(segment: TranscriptSegment, part: float, common: Mapping[str, int]) -> TranscriptSegment:
    """The segment with so much of it as tells the most, in its order; one line at the least."""
    if part >= 1:
        return segment
    room = part * sum(map(tokens, segment.lines))
    best = sorted(range(len(segment.lines)), key=lambda n: (-_telling(segment.lines[n], common), n))
    kept: list[int] = []
    for n in best:
        weight = tokens(segment.lines[n])
        if not kept or weight <= room:
            kept.append(n)
            room -= weight
    return replace(segment, lines=[segment.lines[n] for n in sorted(kept)])


def packed(whole: Iterable[TranscriptSegment], budget: int = BUDGET) -> Sequence[Chunk]:
    """The segments in questions of at most `budget` tokens; a segment that is larger stands alone."""
    found: list[Chunk] = []
    for segment in whole:
        line = _stamped(segment)
        if found and tokens(f"{found[-1].text}\n{line}") <= budget:
            last = found[-1]
            found[-1] = Chunk(last.start, max(last.end, segment.end), f"{last.text}\n{line}")
        else:
            found.append(Chunk(segment.start, segment.end, line))
    return found


def _lines(cues: Iterable[Cue], language: str) -> Iterator[Cue]:
    """The cues, cleaned, at most LONGEST_LINE each, without those that only repeat."""
    fillers = FILLERS.get(language.lower().partition("-")[0])
    said: deque[Sequence[str]] = deque(maxlen=REMEMBERED)
    for cue in sorted(cues, key=lambda cue: cue.start):
        text = _clean(cue.text, fillers)
        words = [word.casefold() for word in WORD.findall(text)]
        if not words or words in said or (said and said[-1][-len(words) :] == words):
            continue
        before = said[-1] if said else []
        said.append(words)
        if before and words[: len(before)] == before:  # subtitles that roll repeat their last line first
            text = text[list(WORD.finditer(text))[len(before)].start() :]
        yield from _pieces(replace(cue, text=text))


def _clean(text: str, fillers: re.Pattern[str] | None) -> str:
    text = text.encode("utf-8", "replace").decode()
    text = SOUND.sub(" ", text)
    if fillers:
        text = fillers.sub(" ", text)
    return SPACE.sub(" ", text).strip(" ,，、")


def _pieces(cue: Cue) -> Iterator[Cue]:
    """A long cue as several, each at about the time when it is said."""
    text, span = cue.text, cue.end - cue.start
    at = 0
    while at < len(text):
        end = at + LONGEST_LINE
        if end < len(text):
            gap = text.rfind(" ", at + LONGEST_LINE // 2, end)
            end = gap if gap > 0 else end
        begin, until = cue.start + span * at / len(text), cue.start + span * min(1.0, end / len(text))
        yield Cue(begin, until, text[at:end].strip())
        at = end


def _stamped(segment: TranscriptSegment) -> str:
    return f"[{mm_ss(segment.start)}] {' '.join(segment.lines)}"


def _telling(line: str, common: Mapping[str, int]) -> float:
    """How rare its words are, names counted twice."""
    found = list(_terms(line))
    weights = [(2.0 if name else 1.0) / common.get(term, 1) for term, name in found]
    return sum(weights) / len(weights) if weights else 0.0


def _terms(line: str) -> Iterator[tuple[str, bool]]:
    """Words, pairs of wide characters; whether each looks like a name."""
    for match in TERM.finditer(line):
        word = match[1] or match[2]
        yield word.casefold(), match.start() > 0 and (word[0].isupper() or word[0].isdigit())
