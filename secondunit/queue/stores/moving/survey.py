"""Survey of a queue: every row read once, counted and digested, and looked at for what another engine can't hold."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from msgspec.json import Encoder

from secondunit.queue.stores.moving.ports import Limits, Readable, Row, Told
from secondunit.queue.stores.moving.tables import MOVED, MovedTable

DIGEST_BYTES = 16
FAULTS_NAMED = 20
TOLD_EVERY = 1000
NUL, NUL_IN_JSON, MINUS_ZERO = "\0", rb"\u0000", b"-0.0"
_encode = Encoder().encode


class TableCount(NamedTuple):
    """A table: how many rows, of how many bytes as JSON, and a digest that no order of theirs changes."""

    rows: int
    size: int
    digest: str


class Fault(NamedTuple):
    """A value that the target can't hold: `row` are the names and values of what names it."""

    table: str
    row: Mapping[str, Any]
    column: str
    why: str

    def __str__(self) -> str:
        where = ", ".join(f"{name} {value!s:.100}" for name, value in self.row.items())
        return f"{self.table}, {where}, column {self.column}: {self.why}"


class Survey(NamedTuple):
    """What there is; the first `faults` only."""

    tables: Mapping[str, TableCount]
    counters: Mapping[str, int]
    faults: Sequence[Fault]

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(tally.rows for tally in self.tables.values())


def survey(queue: Readable, told: Told, doing: str, limits: Limits | None = None) -> Survey:
    """Read all of it. With limits, also what can't be held under them."""
    faults: list[Fault] = []
    tables = {table.name: _tally(table, queue.rows(table), told, doing, limits, faults) for table in MOVED}
    return Survey(tables, queue.counters(), faults)


def watched(rows: Iterator[Row], told: Told, doing: str, table: str) -> Iterator[Row]:
    """The rows, while it is told how many there were."""
    n = 0
    for row in rows:
        yield row
        n += 1
        if n % TOLD_EVERY == 0:
            told(doing, table, n)
    told(doing, table, n)


def faults_of(table: MovedTable, row: Row, limits: Limits) -> Iterator[Fault]:
    """What of a row can't be held."""
    values = dict(zip(table.columns, row, strict=True))
    named = {name: values[name] for name in table.key}
    for column, value in values.items():
        if why := _why_not(value, limits):
            yield Fault(table.name, named, column, why)
    keys = limits.keys.get(table.name, ())
    lengths = {column: len((values[column] or "").encode(errors="replace")) for column in keys}
    if (longest := max(lengths, key=lengths.__getitem__, default=None)) and lengths[longest] > limits.largest_key:
        why = f"it has {lengths[longest]:,} bytes, more than an index of {limits.engine} takes ({limits.largest_key:,})"
        yield Fault(table.name, named, longest, why)


def _tally(
    table: MovedTable, rows: Iterator[Row], told: Told, doing: str, limits: Limits | None, faults: list[Fault]
) -> TableCount:
    n = size = total = 0
    for row in watched(rows, told, doing, table.name):
        try:
            text = _encode(row)
        except OverflowError:  # more than 64 bits; two of them make no difference to the digest that they had in order
            text = repr(row).encode()
        if MINUS_ZERO in text:  # which SQLite stores as 0
            text = _encode([value or 0.0 if isinstance(value, float) else value for value in row])
        n, size = n + 1, size + len(text)
        total += int.from_bytes(blake2b(text, digest_size=DIGEST_BYTES).digest())
        if limits and len(faults) < FAULTS_NAMED and _suspect(table, text, limits):
            faults += faults_of(table, row, limits)
    return TableCount(n, size, f"{total % 256**DIGEST_BYTES:0{2 * DIGEST_BYTES}x}")


def _suspect(table: MovedTable, text: bytes, limits: Limits) -> bool:
    """Whether a row may hold what can't be held, by its JSON, which is quickly looked at."""
    if len(text) > limits.largest_row or (table.wide and limits.largest_integer is not None):
        return True
    return (not limits.nul and NUL_IN_JSON in text) or (len(text) > limits.largest_key and table.name in limits.keys)


def _why_not(value: Any, limits: Limits) -> str | None:
    match value:
        case str() if NUL in value and not limits.nul:
            return f"it holds a NUL character (\\u0000), which {limits.engine} can't store in text"
        case str() | bytes() if len(value) > limits.largest_row:
            return f"it has {len(value):,} characters, more than can be moved ({limits.largest_row:,})"
        case int() if limits.largest_integer is not None and abs(value) > limits.largest_integer:
            return f"{value} is larger than {limits.engine}'s largest whole number"
    return None
