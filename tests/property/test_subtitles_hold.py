"""What holds for subtitles of any content: they are read or refused, and their cues are in order and said once."""

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from secondunit.handlers.analyze.passages import passages
from secondunit.handlers.tools.subtitles.cue import Cue
from secondunit.handlers.tools.subtitles.formats import BadSubtitles, cues_of, decoded, said_once
from secondunit.handlers.tools.subtitles.tracks import nearness

TIMES = st.sampled_from(["00:01.000", "00:00:02,500", "01:00:00.000", "00:02.5", "0:1:2.3", "99:99.999", "soon"])
WORDS = st.sampled_from(
    ["chop", "chop the leeks", "the leeks", "<c>chop</c>", "&amp;", "NOTE", "STYLE", "7", " ", "-->"]
)
TIMING = st.tuples(TIMES, TIMES).map(" --> ".join)
LINES = st.lists(st.one_of(TIMING, WORDS, st.just(""), st.text(max_size=8)), max_size=30).map("\n".join)
EVENT = st.dictionaries(
    st.sampled_from(["tStartMs", "dDurationMs", "segs"]),
    st.one_of(st.none(), st.integers(), st.floats(), st.lists(st.dictionaries(st.just("utf8"), st.text()))),
)
JSON3 = st.lists(EVENT, max_size=5).map(lambda events: json.dumps({"events": events}))
FILES = st.one_of(st.text(), LINES, LINES.map("WEBVTT\n\n{}".format), JSON3)
CUES = st.lists(
    st.builds(
        Cue,
        st.floats(0, 100),
        st.floats(0, 100),
        st.lists(st.sampled_from(["a", "a b", "b", "c", " "]), max_size=4).map("\n".join),
    )
)


def hold(cues: list[Cue]) -> None:
    """What is promised of cues."""
    for before, after in pairwise(cues):
        assert before.start <= after.start
        assert before.text != after.text
    for cue in cues:
        assert 0 <= cue.start <= cue.end
        assert cue.text and cue.text == " ".join(cue.text.split())
        cue.text.encode()


@settings(max_examples=60)
@given(FILES)
def test_any_text_is_read_or_refused_by_its_line(text: str) -> None:
    try:
        line, cues = 1, list(cues_of(text))
    except BadSubtitles as error:
        line, cues = error.line, []
    assert 1 <= line <= text.count("\n") + text.count("\r") + 1
    hold(cues)


@given(st.binary())
def test_any_bytes_are_text(content: bytes) -> None:
    assert isinstance(decoded(content), str)


@settings(max_examples=60)
@given(CUES)
def test_whatever_rolls_is_said_in_order_and_once(cues: list[Cue]) -> None:
    once = list(said_once(sorted(cues, key=lambda cue: cue.start)))
    hold(once)
    assert {word for cue in cues for word in cue.text.split()} == {word for cue in once for word in cue.text.split()}
    assert sum(len(text) for _, text in passages(once, 10)) <= 10


@given(st.text(), st.text())
def test_any_tags_can_be_compared(one: str, other: str) -> None:
    assert nearness(one, other) == nearness(other, one)
    assert nearness(one, one) == 4
