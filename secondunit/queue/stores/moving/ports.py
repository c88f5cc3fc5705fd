"""Ports of a move: the queue that is read, the one that is made, and what the latter's engine can't hold."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from secondunit.queue.stores.moving.tables import MovedTable

Row = Sequence[Any]
# What goes on, of which table, and how many of its rows are done.
Told = Callable[[str, str, int], None]

LARGEST_ROW = 512 << 20  # COPY takes a row of up to 1 GiB once special characters are escaped, SQLite one of 1 GB


class Limits(NamedTuple):
    """What an engine can hold: text with NULs, rows and whole numbers up to a size.

    `keys` are, by table, the text columns that stand in an index, whose entries take `largest_key` bytes.
    """

    engine: str
    nul: bool = True
    largest_row: int = LARGEST_ROW
    largest_integer: int | None = None
    largest_key: int = LARGEST_ROW
    keys: Mapping[str, Sequence[str]] = {}


class Readable(Protocol):
    """A queue whose rows and counters are read, all as of one moment.

    Counters are the last number given out of each kind, and what else is no row: the next one continues from there.
    """

    def rows(self, table: MovedTable) -> Iterator[Row]:
        """Every row, one after the other: they need not all have room in memory."""
        ...

    def counters(self) -> Mapping[str, int]:
        """By their names."""
        ...


class MoveSource(Readable, Protocol):
    """A queue that stays as it is; `size` in bytes."""

    size: int


class MoveTarget(Readable, Protocol):
    """A queue in the making: nothing of it is there for anybody before it is committed."""

    limits: Limits

    def fill(self, table: MovedTable, rows: Iterable[Row]) -> None:
        """Store them."""
        ...

    def go_on_from(self, counters: Mapping[str, int]) -> None:
        """What is numbered next continues from these."""
        ...
