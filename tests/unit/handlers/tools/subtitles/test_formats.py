"""Subtitles in three formats, as sites write them, become the same plain cues."""

from collections.abc import Sequence
from contextlib import suppress

import pytest

from secondunit.handlers.tools.subtitles.cue import Cue
from secondunit.handlers.tools.subtitles.formats import BadSubtitles, cues_of, decoded, said_once
from tests.arch.redos import limited

WEBVTT = """\ufeffWEBVTT - Soup
Kind: captions
Language: en
X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:900000

STYLE
::cue(v[voice=Ann]) {
  color: red;
}

REGION
id:left
width:40%

NOTE the first words
1
00:00:00.000 --> 00:00:00.500
that are not shown

intro
00:01.000 --> 00:03.500 align:start position:10%
<v Ann>Salt &amp; <c.loud>pepper</c></v>
<00:00:02.000><i>for</i> 2&lrm;&nbsp;pots

01:00:04.000 --> 01:00:05.250
Stir if it is < 90 degrees

"""

SRT = """\
1
00:00:01,000 --> 00:00:03,500 X1:40 X2:600 Y1:20 Y2:50
{\\an8}<b>Salt</b> &amp; <font color="#ffffff">pepper</font>
for 2 pots
2
01:00:04,000 --> 01:00:05,250
Stir if it is < 90 degrees
"""

JSON3 = """{
  "wireMagic": "pb3",
  "pens": [{}],
  "events": [
    {"tStartMs": 0, "dDurationMs": 9000, "id": 1, "wpWinPosId": 1},
    {"tStartMs": 1000, "dDurationMs": 2500, "wWinId": 1,
     "segs": [{"utf8": "Salt &"}, {"utf8": " pepper", "tOffsetMs": 400}, {"utf8": "\\nfor 2 pots"}]},
    {"tStartMs": 3500, "wWinId": 1, "aAppend": 1, "segs": [{"utf8": "\\n"}]},
    {"tStartMs": 3604000, "dDurationMs": 1250, "segs": [{"utf8": "Stir if it is < 90 degrees"}]}
  ]
}"""

SAID = [Cue(1.0, 3.5, "Salt & pepper for 2 pots"), Cue(3604.0, 3605.25, "Stir if it is < 90 degrees")]
# As YouTube rolls them: a line comes up word by word, stands, and moves up to make place for the next.
ROLLING = """WEBVTT

00:00:00.160 --> 00:00:02.350 align:start position:0%
\x20
first<00:00:00.640><c> chop</c><00:00:00.960><c> the</c><00:00:01.199><c> leeks</c>

00:00:02.350 --> 00:00:02.360 align:start position:0%
first chop the leeks
\x20

00:00:02.360 --> 00:00:04.630 align:start position:0%
first chop the leeks
then<00:00:02.960><c> fry</c><00:00:03.600><c> them</c>

00:00:04.630 --> 00:00:04.640 align:start position:0%
then fry them
\x20

00:00:04.640 --> 00:00:06.000 align:start position:0%
then fry them
in<00:00:05.040><c> butter</c>
"""


@pytest.mark.parametrize("text", [WEBVTT, SRT, JSON3], ids=["webvtt", "srt", "json3"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_the_three_formats_say_the_same(text: str, end: str) -> None:
    assert cues_of(text.replace("\n", end)) == SAID


def test_lines_that_roll_up_the_screen_are_said_once_with_their_first_time() -> None:
    assert cues_of(ROLLING) == [
        Cue(0.16, 2.35, "first chop the leeks"),
        Cue(2.36, 4.63, "then fry them"),
        Cue(4.64, 6.0, "in butter"),
    ]


def test_a_line_that_grows_is_said_once() -> None:
    grown = [Cue(0, 1, "chop"), Cue(1, 2, "chop the"), Cue(2, 3, "chop the leeks"), Cue(3, 4, "the leeks\nand fry")]
    assert [cue.text for cue in said_once(grown)] == ["chop", "the", "leeks", "the leeks and fry"]
    three = [Cue(0, 1, "a\nb\nc"), Cue(1, 2, "b\nc\nd"), Cue(2, 3, "c\nd\ne")]
    assert [cue.text for cue in said_once(three)] == ["a b c", "d", "e"]
    gap = [Cue(0, 1, "a"), Cue(1, 2, " "), Cue(2, 3, "a\nb")]
    assert [cue.text for cue in said_once(gap)] == ["a", "b"]


def test_what_is_said_again_later_is_said_again() -> None:
    refrain = [Cue(at, at + 1, text) for at, text in enumerate(["stir", "wait", "stir"])]
    assert said_once(refrain) == refrain


def test_a_cue_ends_at_the_latest_where_the_next_begins() -> None:
    assert said_once([Cue(0, 9, "a"), Cue(2, 1, "b")]) == [Cue(0, 2, "a"), Cue(2, 2, "b")]


def test_cues_come_in_the_order_of_their_beginnings() -> None:
    text = "WEBVTT\n\n00:05.000 --> 00:06.000\nb\n\n00:01.000 --> 00:02.000\na\n"
    assert [cue.text for cue in cues_of(text)] == ["a", "b"]


@pytest.mark.parametrize("text", ["", "\n\n", "WEBVTT", "\ufeffWEBVTT\n\nNOTE nothing", '{"events": []}'])
def test_no_words_are_no_mistake(text: str) -> None:
    assert cues_of(text) == []


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("WEBVTT\n\n00:01.000 --> 00:02.000\na\n\n00:03.000 --> soon\nb", 6, "'00:03.000 --> soon'"),
        ("1\n00:00:01,000 --> 00:00:02,000\na\n\n2\n --> \nb", 6, "no times"),
        ("<html>please log in</html>", 1, "neither"),
        ("WEBVTT\n\n99999:00:00.000 --> 00:01.000\na", 3, "no times"),
        ('{\n "events": [\n {]}', 3, "no JSON"),
        ('{"events": 3}', 1, "no list of events"),
        ('{"events": [3]}', 1, "event 1"),
        ('{"events": [{"tStartMs": NaN, "segs": [{"utf8": "a"}]}]}', 1, "event 1: tStartMs"),
        ('{"events": [{"tStartMs": -1, "segs": [{"utf8": "a"}]}]}', 1, "event 1: tStartMs"),
        ('{"events": [{"dDurationMs": true, "segs": [{"utf8": "a"}]}]}', 1, "event 1: dDurationMs"),
        ('{"events": ' + "9" * 9999 + "}", 1, "can't be read"),
        ("[" * 2 + '{"a":' * 100_000, 1, "neither"),
        ('{"a":' * 100_000, 1, "can't be read"),
    ],
)
def test_a_file_that_breaks_the_rules_is_refused_by_its_line(text: str, line: int, why: str) -> None:
    with pytest.raises(BadSubtitles, match=f"line {line}: ") as caught:
        cues_of(text)
    assert caught.value.line == line and why in caught.value.why


@pytest.mark.parametrize("entity", ["&#" + "9" * 5000 + ";", "&#x" + "f" * 9000, "&" * 9000, "&#" * 4000])
def test_a_character_reference_of_any_length_is_no_fault(entity: str) -> None:
    assert len(cues_of(f"WEBVTT\n\n00:01.000 --> 00:02.000\na {entity} b")) == 1


@pytest.mark.parametrize(
    "piece",
    [
        "\n",
        "\r\n\n",
        "WEBVTT\n",
        "NOTE\n",
        "<",
        "<b",
        "<1:",
        "{\\",
        "&",
        " ",
        "-->",
        "00:01.000 --> 00:02.000\n",
        "1\n",
    ],
)
def test_half_a_megabyte_of_anything_is_read_in_time_that_grows_with_it(piece: str) -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:02.000\n" + (piece * 500_000)[:500_000] + "\n\nx"
    with limited(10), suppress(BadSubtitles):
        assert len(cues_of(text)) < 100_000


@pytest.mark.parametrize(
    ("piece", "words"),
    [(r"\ud83c\udf72 soup", "\U0001f372 soup"), (r"half \ud83c", "half ?"), ("zero\u200bwidth", "zerowidth")],
)
def test_characters_that_can_not_be_stored_are_taken_out(piece: str, words: str) -> None:
    text = f'{{"events": [{{"segs": [{{"utf8": "{piece}"}}]}}]}}'
    assert [cue.text for cue in cues_of(text)] == [words]


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfna\xc3\xafve", "na\xefve".encode(), b"na\xefve"])
def test_old_files_in_windows_code_page_are_read(content: bytes) -> None:
    assert decoded(content) == "na\xefve"


@pytest.mark.parametrize("hostile", ["<a" * 50_000, "{\\" * 50_000, "&" * 50_000, "a\n" * 50_000, "0" * 50_000])
def test_text_made_to_waste_time_wastes_none(hostile: str) -> None:
    text = f"WEBVTT\n\n00:01.000 --> 00:02.000\n{hostile}\n\n00:02.000 --> 00:03.000\n{hostile}"
    with limited(1):
        cues: Sequence[Cue] = cues_of(text)
    assert cues
