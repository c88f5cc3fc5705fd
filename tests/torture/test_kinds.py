"""Kinds of torment: all come, and one that did not is named."""

from collections import Counter
from itertools import islice
from random import Random

from tests.torture.kinds import dealt, undone

KINDS = ("kill", "kill", "kill", "stop", "backend kill")


def test_each_kind_comes_as_often_as_it_is_listed_before_any_comes_again() -> None:
    dealer = dealt(KINDS, Random(1))
    rounds = [[*islice(dealer, len(KINDS))] for _ in range(5)]
    assert {tuple(sorted(round)) for round in rounds} == {tuple(sorted(KINDS))}
    assert len({tuple(round) for round in rounds}) > 1


def test_a_kind_that_never_came_in_a_long_run_is_named() -> None:
    assert [*undone(KINDS, Counter(kill=8, stop=2))] == ["torture: backend kill never came in 10 cycles"]


def test_of_a_short_run_nothing_is_asked() -> None:
    assert [*undone(KINDS, Counter(kill=9))] == []


def test_a_run_in_which_all_came_is_well() -> None:
    assert [*undone(KINDS, Counter({"kill": 8, "stop": 1, "backend kill": 1}))] == []
