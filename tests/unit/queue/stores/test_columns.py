"""Mappers that are compiled from a column table: each column from its place in the value, and back to it."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from secondunit.queue.stores.columns import Codec, Column, Part, decoder, differences, encoder, names
from secondunit.queue.value import Value


class Place(Value, frozen=True):
    """What a thing may have."""

    street: str
    number: int


class Thing(Value, frozen=True):
    """A value with every kind of field."""

    kind: str
    age: timedelta | None = None
    place: Place | None = None
    tags: Sequence[str] = ()


COLUMNS = (
    Column("kind"),
    Column("age", Codec(lambda age: age.days, timedelta, "None")),
    Column("street", of="place?.street"),
    Column("number", Codec(str, int), of="place?.number"),
    Column("tags", Codec(",".join, lambda text: tuple(text.split(",")), "()")),
    Column("size", computed=lambda thing: len(thing.tags)),
)
row_of = encoder(COLUMNS)
differ = differences(COLUMNS)
thing_from = decoder(Thing, COLUMNS, [Part("place", Place, "street number")])
PLAIN = Thing("a")
FULL = Thing("b", timedelta(3), Place("High Street", 7), ("x", "y"))


def test_a_row_has_a_value_for_each_column_in_their_order() -> None:
    assert names(COLUMNS) == ["kind", "age", "street", "number", "tags", "size"]
    assert row_of(FULL) == ("b", 3, "High Street", "7", "x,y", 2)


def test_what_is_not_there_is_null_whatever_stands_for_it_in_the_value() -> None:
    assert row_of(PLAIN) == ("a", None, None, None, None, 0)
    assert thing_from(("a", None, None, None, None, 0)) == PLAIN


def test_a_value_comes_back_with_the_fields_that_are_built_of_several_columns() -> None:
    assert thing_from(row_of(FULL)) == FULL


def test_a_field_without_a_column_is_as_when_it_was_not_given() -> None:
    assert decoder(Thing, COLUMNS[:2])(("a", 3)) == Thing("a", timedelta(3))


@pytest.mark.parametrize("before", [PLAIN, FULL, Thing("b", None, Place("High Street", 8)), Thing("a", tags=("z",))])
@pytest.mark.parametrize("after", [PLAIN, FULL, Thing("b", timedelta(4), None, ("y", "x")), Thing("a", tags=("z",))])
def test_the_columns_that_differ_are_told_with_what_is_there_now(before: Thing, after: Thing) -> None:
    number, now = differ(before, after)
    row = list(row_of(before))
    for place in range(len(COLUMNS)):
        number, digit = divmod(number, 4)
        if digit:
            row[place] = now.pop(0) if digit == 1 else None
    assert tuple(row) == row_of(after)
    assert not now


def test_equal_fields_are_no_difference_though_they_are_not_the_same() -> None:
    assert differ(FULL, Thing("b", timedelta(3), Place("High Street", 7), (*"xy",))) == (0, [])
