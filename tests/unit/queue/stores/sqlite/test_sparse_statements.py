"""Statements that name only what matters do what those with every column would do."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from msgspec.structs import astuple

from secondunit.queue.stores.columns import Column
from secondunit.queue.stores.sqlite.sparse_statements import Insert, Update
from secondunit.queue.value import Value

COLUMNS = ("id", "a", "b", "c")


class Thing(Value, frozen=True):
    """What a row is made of."""

    a: str | None
    b: int | None
    c: bytes | None


class Database:
    """A table with defaults, and the statements that were run."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:")
        self.connection.execute(
            "create table t (id integer primary key, a text default 'no', b integer, c blob) strict"
        )
        self.texts: list[str] = []

    def __call__(self, text: str, values: Sequence[Any]) -> sqlite3.Cursor:
        self.texts.append(text)
        return self.connection.execute(text, values)

    def rows(self) -> list[tuple[Any, ...]]:
        return self.connection.execute("select id, a, b, c from t order by rowid").fetchall()


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.connection.close()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 31, 32, 33, 75])
def test_any_number_of_rows_is_inserted_whole_and_in_order(database: Database, count: int) -> None:
    rows = [(n, f"a{n}", n * 2, None if n % 7 == 0 else b"c") for n in range(1, count + 1)]
    Insert("t", COLUMNS)(database, rows)
    assert database.rows() == rows


@pytest.mark.parametrize("count", range(1, 9))
def test_the_few_rows_of_a_usual_commit_go_by_one_statement(database: Database, count: int) -> None:
    Insert("t", COLUMNS)(database, [(n, "a", 1, b"c") for n in range(1, count + 1)])
    assert len(database.texts) == 1


def test_many_rows_alike_go_by_few_statements(database: Database) -> None:
    Insert("t", COLUMNS)(database, [(n, "a", 1, b"c") for n in range(1, 65)])
    assert len(database.texts) == 2


def test_a_column_that_is_left_out_has_its_default_and_falsy_values_are_not_left_out(database: Database) -> None:
    Insert("t", COLUMNS)(database, [(1, None, None, None), (2, "", 0, b"")])
    assert database.rows() == [(1, "no", None, None), (2, "", 0, b"")]


BEFORE = Thing("x", 1, b"c")


@pytest.mark.parametrize(
    ("after", "columns"),
    [
        (Thing("y", 1, b"c"), "set a = ?, id = id"),
        (Thing(None, 1, b"c"), "set a = null, id = id"),
        (Thing("x", None, b""), "set b = null, c = ?, id = id"),
        (Thing("x", 1, b"c"), "set id = id"),
    ],
)
def test_only_what_changed_is_set_and_none_is_null(database: Database, after: Thing, columns: str) -> None:
    Insert("t", COLUMNS)(database, [(1, *astuple(BEFORE)), (2, *astuple(BEFORE))])
    update = Update("t", [*map(Column, COLUMNS[1:])], "id = id where id = ?")
    assert update(database, BEFORE, after, (2,)) == 1
    assert database.rows() == [(1, *astuple(BEFORE)), (2, *astuple(after))]
    assert columns in database.texts[-1]
    assert update(database, BEFORE, after, (9,)) == 0, "no such row"
