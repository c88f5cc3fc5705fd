"""Sparse INSERT and UPDATE: statements over wide rows that name only what matters, a text for each set of columns.

Before sqlite3 binds a None or a bool it asks its adapters for one (Python 3.11: 0.9 us each, five times an int), and
of a job's 42 values half are None; a column that is set to what it was costs its index a look.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain, compress, groupby, repeat
from operator import is_not
from typing import Any

from secondunit.queue.stores.columns import Column, differences

Execute = Callable[[str, Sequence[Any]], Any]
TEXTS_KEPT = 256  # the connection keeps as many prepared
AT_ONCE = (32, 16, 8, 7, 6, 5, 4, 3, 2, 1)  # the few events of a usual commit go by one statement


class Insert:
    """Rows of `columns` into a table, many by one statement; what is None is left out.

    While a statement runs, Python's lock is free: 32 rows by one let the event loop go on meanwhile, where a statement
    each would ask for the lock 32 times, and they cost two thirds.
    """

    def __init__(self, table: str, columns: Sequence[str]) -> None:
        self._table = table
        self._columns = columns
        self._text = lru_cache(TEXTS_KEPT)(self._write)

    def __call__(self, execute: Execute, rows: Iterable[Sequence[Any]]) -> None:
        """Insert the rows in their order."""
        for given, alike in groupby(rows, key=_given):
            values = [tuple(compress(row, given)) for row in alike]
            done = 0
            for size in AT_ONCE:
                while len(values) - done >= size:
                    execute(self._text(given, size), list(chain.from_iterable(values[done : done + size])))
                    done += size

    def _write(self, given: Sequence[bool], rows: int) -> str:
        names = tuple(compress(self._columns, given))
        row = f"({', '.join('?' * len(names))})"
        return f"insert into {self._table} ({', '.join(names)}) values {', '.join([row] * rows)}"


class Update:
    """New values for those of `columns` that changed from one value to the other, in the row that `rest` finds."""

    def __init__(self, table: str, columns: Sequence[Column], rest: str) -> None:
        self._table = table
        self._columns = columns
        self._rest = rest
        self._differences = differences(columns)
        self._text = lru_cache(TEXTS_KEPT)(self._write)

    def __call__(self, execute: Execute, before: Any, after: Any, which: Sequence[Any]) -> int:
        """Write what differs; how many rows that were, by the parameters of `rest`."""
        number, values = self._differences(before, after)
        return int(execute(self._text(number), (*values, *which)).rowcount)

    def _write(self, number: int) -> str:
        sets = []
        for column in self._columns:
            number, digit = divmod(number, 4)
            if digit:
                there = digit == 1
                sets.append(f"{column.name} = {'?' if there else 'null'}")
        return f"update {self._table} set {', '.join([*sets, self._rest])}"


def _given(row: Sequence[Any]) -> tuple[bool, ...]:
    return tuple(map(is_not, row, repeat(None)))
