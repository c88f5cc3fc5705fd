"""What a model is told of a film's words: all of it if that is little, an even choice if it is much."""

from itertools import pairwise

from secondunit.handlers.analyze.passages import LONGEST, MOST, passages
from secondunit.handlers.tools.subtitles.cue import Cue


def test_neighbouring_cues_become_one_passage_with_the_time_of_the_first() -> None:
    cues = [Cue(at, at + 2, f"words {at}") for at in (1.0, 4.0, 9.0, 11.5, 30.0)]
    assert passages(cues) == [(1.0, "words 1.0 words 4.0 words 9.0"), (11.5, "words 11.5"), (30.0, "words 30.0")]


def test_long_speech_is_thinned_over_its_whole_length() -> None:
    cues = [Cue(at, at + 10, f"sentence {at} " + "x" * 80) for at in range(0, 36_000, 10)]
    said = passages(cues)
    assert MOST - 200 < sum(len(text) for _, text in said) <= MOST
    gaps = [after - before for (before, _), (after, _) in pairwise(said)]
    assert said[0][0] < 300 and said[-1][0] > 35_700 and max(gaps) < 2 * min(gaps)


def test_nothing_of_a_short_speech_is_lost() -> None:
    cues = [Cue(0, 1, "a" * LONGEST), Cue(1, 2, "b" * 2 * LONGEST + "c")]
    assert "".join(text for _, text in passages(cues)) == "a" * LONGEST + "b" * 2 * LONGEST + " c".strip()


def test_one_endless_word_is_no_more_than_is_allowed() -> None:
    assert sum(len(text) for _, text in passages([Cue(0, 1, "x" * 1_000_000)])) <= MOST
    assert passages([]) == []
