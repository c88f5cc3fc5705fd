"""Time series in its table: a projection of the event log, which counts each event once."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from secondunit.queue.model import Status
from secondunit.queue.sight.series import (
    COUNTERS,
    HOUR,
    HOURS_KEPT,
    MINUTES_KEPT,
    Moves,
    SeriesRow,
    Tally,
    begins,
    rolled,
    tallied,
)
from secondunit.queue.stores.columns import Row
from secondunit.queue.stores.rows import STATUSES, micros, moment

TALLY = f"{', '.join(COUNTERS)}, queued, running, waits, runs"


class SeriesStatements(NamedTuple):
    """A store's texts: find a row, put one, list minutes that are too old and hours of a span, forget both."""

    select: str
    put: str
    old_minutes: str
    hours: str
    forget_minute: str
    forget_hours: str


class Statements(Protocol):
    """A transaction of the writer."""

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Iterable[Any]:
        """Run a statement; its rows."""
        ...

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row of values."""
        ...


def count(
    tx: Statements, found: Iterable[Row], standing: Mapping[tuple[str, Status | None], int], sql: SeriesStatements
) -> None:
    """Add the moves that were found in the events, after which so many jobs stand where.

    A move's row is the minute since 1970, the type, how the jobs stood before, the event's name, how many there were,
    and their waits or runs in microseconds, joined by commas.
    """
    rows = []
    for (at, type), later in tallied(map(_moves, found), standing).items():
        kept = [*tx.execute(sql.select, (micros(at), type))]
        tally = Tally(kept[0]) if kept else Tally()
        tally.take(later)
        rows.append((60, micros(at), type, *tally.row()))
    tx.executemany(sql.put, rows)


def shorten(tx: Statements, now: datetime, sql: SeriesStatements) -> None:
    """Make hours of the minutes that are too old, whole hours of them, and forget the oldest hours."""
    minutes = series_rows(tx.execute(sql.old_minutes, (micros(begins(now - MINUTES_KEPT, HOUR)),)))
    if minutes:
        span = micros(begins(minutes[0].at, HOUR)), micros(minutes[-1].at)
        hours = rolled(series_rows(tx.execute(sql.hours, span)), minutes)
        tx.executemany(sql.put, [(3600, micros(row.at), row.type, *row.values) for row in hours])
        tx.executemany(sql.forget_minute, [(micros(row.at), row.type) for row in minutes])
    tx.executemany(sql.forget_hours, [(micros(now - HOURS_KEPT),)])


def series_rows(found: Iterable[Row]) -> Sequence[SeriesRow]:
    """Rows of a time, a type and a TALLY, as values."""
    return [SeriesRow(moment(at), type, tuple(values)) for at, type, *values in found]


def _moves(row: Row) -> Moves:
    minute, type, before, name, number, spans = row
    seconds = [max(int(span), 0) / 1e6 for span in spans.split(",")] if spans else []
    return Moves(moment(minute * 60_000_000), type, STATUSES.get(before), name, number, seconds)
