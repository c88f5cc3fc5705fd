"""Values as callers write them: each kind has one spelling, and what is none of it says what it should be."""

import pytest
from multidict import MultiDict

from secondunit.daemon.http.contract.requests import ListQuery, StuckQuery, query, taken
from secondunit.daemon.http.written_values import MOST_DIGITS, digits, instant_of, words
from secondunit.queue.errors import BadPayload


@pytest.mark.parametrize("text", ["1_0", " 5", "5 ", "+5", "5.0", "1e2", "0x5", "\u0665", "", "-", "--5", "9" * 21])
def test_a_number_of_a_query_is_digits_and_nothing_else(text: str) -> None:
    with pytest.raises(BadPayload) as refused:
        query(ListQuery, MultiDict({"limit": text}))
    [fault] = refused.value.errors
    assert (fault.field, fault.message) == ("limit", "should be a whole number")


def test_digits_are_the_number_and_a_number_is_itself() -> None:
    assert digits("007") == 7 and digits("-3") == -3 and digits(5) == 5
    assert digits("9" * MOST_DIGITS) == int("9" * MOST_DIGITS)
    assert taken(StuckQuery, {"timeout": 5}).timeout == 5


def test_an_instant_says_its_zone() -> None:
    assert instant_of("2026-01-22T12:00:00+01:00") == instant_of("2026-01-22T11:00:00Z")
    with pytest.raises(ValueError, match="zone"):
        instant_of("2026-01-22T12:00:00")


def test_words_come_one_by_one_or_with_commas() -> None:
    assert words("a, b,,c") == words(["a", "b,c"]) == ["a", "b", "c"]
    assert words("") == [] and words([""]) == [""]
