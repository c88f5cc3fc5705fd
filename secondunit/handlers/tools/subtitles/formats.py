"""Subtitle parsers into cues: WebVTT (w3.org/TR/webvtt1), SRT, and the JSON that YouTube calls json3; pure.

Which of the three it is, is seen from the text and not from a name: servers mislabel them. Cues come in the order of
their beginnings, as plain words: no tags, no entities, no line breaks.
"""

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from secondunit.handlers.tools.subtitles.cue import Cue

LONGEST = 3_600_000.0  # seconds: a thousand hours
SHOWN = 8  # lines of a cue that are compared with those of the next

LINE_END = re.compile(r"\r\n|\r|\n")
TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
TIMING = re.compile(rf"\s*{TIME}\s*-->\s*{TIME}(?:\s.*)?", re.ASCII)
NUMBER = re.compile(r"\s*\d{1,9}\s*", re.ASCII)
SKIPPED = re.compile(r"(STYLE|REGION|NOTE)(\s.*)?")
# Only what looks like a tag is one: careless writers leave a bare "<" in their text.
TAGS = re.compile(r"</?[a-zA-Z][^<>]*>|<[0-9][0-9:.]*>|\{\\[^{}]*\}")
UNSEEN = dict.fromkeys(map(ord, "\u200b\u200c\u200e\u200f\u2060\ufeff\0"))


class BadSubtitles(ValueError):
    """Text that is none of the three formats, or breaks its format's rules in `line`, counted from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line
        self.why = why


def decoded(content: bytes) -> str:
    """The text of a file; what is not UTF-8 is taken for Windows' Western code page, as old SRT files are in."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def cues_of(text: str) -> Sequence[Cue]:
    """What is said, each line once and with its first time, or BadSubtitles."""
    text = text.removeprefix("\ufeff")
    if text.lstrip().startswith("{"):
        cues = _json3(text)
    else:
        cues = _blocks(LINE_END.split(text), webvtt=text.lstrip().startswith("WEBVTT"))
    return said_once(sorted(cues, key=lambda cue: cue.start))


def said_once(cues: Sequence[Cue]) -> Sequence[Cue]:
    """Without what automatic captions say again because it is still on the screen.

    A cue's lines are joined, and it ends at the latest where the next begins.
    """
    said: list[Cue] = []
    shown: Sequence[str] = ()
    for cue in cues:
        lines = [line for line in map(_plain, cue.text.split("\n")) if line]
        text = " ".join(_fresh(shown, lines))
        shown = lines[-SHOWN:] or shown
        if not text or (said and said[-1].text == text):
            continue
        if said and said[-1].start < cue.start < said[-1].end:
            said[-1] = Cue(said[-1].start, cue.start, said[-1].text)
        said.append(Cue(cue.start, max(cue.start, cue.end), text))
    return said


def _fresh(shown: Sequence[str], lines: Sequence[str]) -> Sequence[str]:
    """The lines without those at their beginning that end what was shown before; the last of these may have grown."""
    for count in range(min(len(shown), len(lines)), 0, -1):
        *same, last = shown[-count:]
        grown = lines[count - 1]
        if list(lines[: count - 1]) == same and (grown == last or grown.startswith(f"{last} ")):
            rest = grown[len(last) :].strip()
            return [*([rest] if rest else []), *lines[count:]]
    return lines


def _plain(line: str) -> str:
    """A line's words."""
    bare = TAGS.sub("", line)
    with suppress(ValueError):  # a reference to a character of five thousand digits
        bare = html.unescape(bare)
    return " ".join(bare.translate(UNSEEN).split())


def _blocks(lines: Sequence[str], *, webvtt: bool) -> Iterator[Cue]:
    """The cues of WebVTT or SRT: blocks between empty lines, words after a line of times."""
    at, found = 0, False
    while at < len(lines):
        if webvtt and SKIPPED.fullmatch(lines[at]):
            at = _after_block(lines, at)
        elif "-->" not in lines[at]:
            at += 1  # nothing, the header, or a cue's number or name
        else:
            start, end = _times(lines[at], at)
            words = _words(lines, at + 1)
            at, found = at + 1 + len(words), True
            yield Cue(start, end, "\n".join(words))
    if not found and not webvtt and any(line.strip() for line in lines):
        raise BadSubtitles(1, "neither WebVTT nor SRT nor json3: there is no line of times")


def _after_block(lines: Sequence[str], at: int) -> int:
    while at < len(lines) and lines[at]:
        at += 1
    return at


def _words(lines: Sequence[str], begin: int) -> Sequence[str]:
    """The lines from `begin` to an empty one; where that was forgotten, to the next cue's number or times.

    A line of nothing but a space is none that ends a cue: YouTube's lines come up beneath such a one.
    """
    end = begin
    while end < len(lines) and lines[end] and "-->" not in lines[end]:
        end += 1
    forgotten = end < len(lines) and "-->" in lines[end]
    if forgotten and end > begin and NUMBER.fullmatch(lines[end - 1]):
        end -= 1
    return lines[begin:end]


def _times(line: str, at: int) -> tuple[float, float]:
    found = TIMING.fullmatch(line)
    if not found:
        raise BadSubtitles(at + 1, f"these are no times: {line.strip()[:80]!r}")
    return _seconds(*found.groups()[:4]), _seconds(*found.groups()[4:])


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> float:
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return min(whole + int(fraction.ljust(3, "0")) / 1000, LONGEST)


def _json3(text: str) -> Iterator[Cue]:
    """The cues of json3: `events` with times in milliseconds, and their words in pieces."""
    try:
        told = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadSubtitles(error.lineno, f"this is no JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a number of ten thousand digits, a thousand nested lists
        raise BadSubtitles(1, f"this JSON can't be read: {error}") from None
    events = told.get("events")
    if not isinstance(events, list):
        raise BadSubtitles(1, "this JSON has no list of events")
    for number, event in enumerate(events, 1):
        if not isinstance(event, dict):
            raise BadSubtitles(1, f"event {number} is no object")
        words = _pieces(event.get("segs"))
        if words.strip():
            start = _milliseconds(event, "tStartMs", number)
            yield Cue(start, start + _milliseconds(event, "dDurationMs", number), words)


def _pieces(segs: Any) -> str:
    pieces = [seg.get("utf8") for seg in segs if isinstance(seg, dict)] if isinstance(segs, list) else []
    words = "".join(piece for piece in pieces if isinstance(piece, str))
    return words.encode(errors="replace").decode()  # half a surrogate pair can't be written anywhere


def _milliseconds(event: Mapping[str, Any], name: str, number: int) -> float:
    value = event.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST * 1000:
        raise BadSubtitles(1, f"event {number}: {name} is no time")
    return value / 1000
