"""The transcript that a model gets: what always goes, what always stays, and how long it may be."""

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from secondunit.handlers.locations.captions import MOST, cues_of, kept
from secondunit.handlers.locations.compression import (
    FULLEST_SEGMENT,
    LONGEST_LINE,
    SPAN,
    TranscriptSegment,
    commonness,
    condensed,
    packed,
    segments,
    share,
    tokens,
)
from secondunit.handlers.tools.fetching.ports import Captions
from secondunit.handlers.tools.subtitles.cue import Cue

WORDS = st.text(alphabet="abcdefgh ABC 12 士林夜市台北 ,.!?-[]()♪", max_size=400)
CUES = st.lists(
    st.builds(
        lambda at, long, text: Cue(at, at + long, text),
        st.floats(0, 400, allow_nan=False),
        st.floats(0, 60, allow_nan=False),
        WORDS,
    ),
    max_size=60,
)
BUDGET = 1000


def lines(*texts: str, language: str = "en", step: float = 5) -> list[str]:
    cues = [Cue(step * n, step * n + step, text) for n, text in enumerate(texts)]
    return [line for segment in segments(cues, language) for line in segment.lines]


@given(CUES)
@settings(max_examples=60, deadline=None)
def test_times_and_order_are_kept_whatever_is_said(cues: list[Cue]) -> None:
    whole = segments(cues, "en")
    starts = [segment.start for segment in whole]
    assert starts == sorted(starts) and all(segment.end >= segment.start for segment in whole)
    assert all(segment.lines and all(0 < len(line) <= LONGEST_LINE for line in segment.lines) for segment in whole)
    assert all(any(cue.start <= start <= cue.end for cue in cues) for start in starts)
    text = "".join(packed_text(whole).split())
    for segment in whole:
        for line in segment.lines:
            assert "".join(line.split()) in text


@given(CUES, st.floats(0.1, 1))
@example([Cue(0, 1, "it is it"), Cue(2, 3, "so it is"), Cue(4, 5, "a Rare Name")], 0.8)
@settings(max_examples=60, deadline=None)
def test_less_of_a_segment_is_lines_of_it_in_their_order(cues: list[Cue], part: float) -> None:
    whole = segments(cues, "en")
    common = commonness(whole)
    for segment in whole:
        short = condensed(segment, part, common)
        rest = iter(segment.lines)
        assert short.lines and all(line in rest for line in short.lines)
        assert (short.start, short.end) == (segment.start, segment.end)
        room = part * sum(map(tokens, segment.lines))
        assert len(short.lines) == 1 or sum(map(tokens, short.lines)) <= room + 1e-6


@given(CUES)
@settings(max_examples=60, deadline=None)
def test_no_question_is_longer_than_its_budget_and_each_begins_with_a_time(cues: list[Cue]) -> None:
    whole = segments(cues, "en")
    chunks = packed(whole, BUDGET)
    assert all(tokens(chunk.text) <= BUDGET for chunk in chunks)
    assert sum(chunk.text.count("\n") + 1 for chunk in chunks) == len(whole)
    for chunk in chunks:
        assert all(re.match(r"\[\d\d+:\d\d\] \S", line) for line in chunk.text.splitlines())
        assert chunk.start <= chunk.end


def packed_text(whole: Sequence[TranscriptSegment]) -> str:
    return "\n".join(chunk.text for chunk in packed(whole, BUDGET))


def test_a_time_stands_about_every_30_seconds() -> None:
    whole = segments([Cue(2.0 * n, 2.0 * n + 2, f"sentence number {n}") for n in range(100)], "en")
    gaps = [later.start - earlier.start for earlier, later in pairwise(whole)]
    assert set(gaps) == {SPAN}


def test_one_endless_cue_becomes_segments_with_times_of_their_own() -> None:
    whole = segments([Cue(0, 600, "word " * 2000)], "en")
    assert all(sum(map(tokens, segment.lines)) <= FULLEST_SEGMENT for segment in whole)
    assert whole[-1].start > 550 and len(whole) >= 10


@pytest.mark.parametrize(
    ("language", "said", "left"),
    [
        ("en", "Um, so we, uh, go to the, you know, old town [Music]", "so we, go to the, old town"),
        ("en-US", ">> Hello there ♪", "Hello there"),
        ("de", "Um acht sind wir, äh, da", "Um acht sind wir, da"),
        ("zh-TW", "嗯，我們到士林夜市", "我們到士林夜市"),
        ("xx", "um uh", "um uh"),
        ("en", "the market (Shilin) opens", "the market (Shilin) opens"),
    ],
)
def test_fillers_go_by_the_language_and_marks_of_sounds_always(language: str, said: str, left: str) -> None:
    assert lines(said, language=language) == [left]


def test_what_only_repeats_goes() -> None:
    assert lines("we walk", "We walk!", "to the temple", "we walk") == ["we walk", "to the temple"]
    assert lines("we walk to", "we walk to the temple", "the temple") == ["we walk to", "the temple"]
    assert lines("It", "Italy is warm") == ["It", "Italy is warm"]
    assert lines("(applause)", "[Musik]", "♪♪", "...", "") == []


def test_text_that_no_wire_takes_is_made_harmless() -> None:
    assert lines("a \ud83d lone half") == ["a ? lone half"]


def test_short_texts_stay_whole_and_long_ones_are_aimed_at_two_fifths() -> None:
    def talk(minutes: int) -> list[TranscriptSegment]:
        cues = [Cue(3.0 * n, 3.0 * n + 3, f"Here we say thing number {n} about it") for n in range(20 * minutes)]
        return list(segments(cues, "en"))

    assert share(talk(10)) == 1
    assert 0.4 < share(talk(60)) < 1
    assert share(talk(200)) == 0.4
    whole = talk(200)
    common, part = commonness(whole), share(whole)
    short = [condensed(segment, part, common) for segment in whole]
    ratio = sum(tokens(" ".join(s.lines)) for s in short) / sum(tokens(" ".join(s.lines)) for s in whole)
    assert 0.25 < ratio <= 0.4


def test_names_outlast_small_talk() -> None:
    small = ["so it is nice here and it is nice", "and it is so nice", "here it is nice and so on and so on"]
    whole = [
        TranscriptSegment(30.0 * n, 30.0 * n + 30, [*small, f"we visit Temple{n} of Tainan{n}"]) for n in range(40)
    ]
    common = commonness(whole)
    for n, segment in enumerate(whole):
        assert f"we visit Temple{n} of Tainan{n}" in condensed(segment, 0.4, common).lines


@pytest.mark.parametrize(
    ("text", "about"), [("a" * 400, 100), ("台北" * 100, 160), ("Привет" * 10, 30), ("", 0), ("한국" * 10, 16)]
)
def test_tokens_are_estimated_by_the_script(text: str, about: int) -> None:
    assert tokens(text) == about


def test_captions_fit_the_result_of_a_step_and_say_where_they_were_cut() -> None:
    def of(*cues: Cue) -> Captions:
        return Captions("t" * 5000, 1.0, None, "en", "manual", cues)

    small = kept(of(Cue(0.12345, 1, "a"), Cue(1, 2, "b")))
    assert (cues_of(small), small["cut"], len(small["title"])) == ([Cue(0.123, 1, "a"), Cue(1, 2, "b")], None, 1000)
    cut = kept(of(Cue(0, 1, "a"), Cue(7, 8, "台" * (MOST // 6)), Cue(9, 10, "c")))
    assert (len(cues_of(cut)), cut["cut"]) == (1, 7)
