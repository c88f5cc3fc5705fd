"""Time series in its table: a projection of the event log, which counts each event once, and where it has come to."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

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
from secondunit.queue.stores.rows import STATUSES, micros, moment

# With the event before it of the same job, where how the job stood can't be told from the event itself: who ended by it
# has a duration if it ran, and who was started was queued. Looking at all of them would cost half as much again.
MOVES = """
select
  e.at / 60000000, j.type,
  case when e.name in ('queued', 'started') then p.status when e.duration is null then 'queued' else 'running' end,
  e.name, count(*),
  string_agg((case when e.name = 'started' then e.at - coalesce(p.run_at, p.at) else e.duration end)::text, ',')
from events e
join jobs j on j.seq = e.job
left join events p on p.seq = case when e.name in ('queued', 'started') then (
  select max(b.seq) from events b where b.job = e.job and b.seq < e.seq) end
where e.seq > %s and e.seq <= %s
group by 1, 2, 3, 4"""
TALLY = f"{', '.join(COUNTERS)}, queued, running, waits, runs"
SELECT = f"select {TALLY} from series where step = 60 and at = %s and type = %s"
INSERT = f"""
insert into series values (%s, %s, %s, {", ".join(["%s"] * (len(COUNTERS) + 4))})
on conflict (step, at, type) do update
set {", ".join(f"{name} = excluded.{name}" for name in TALLY.split(", "))}"""
OLD_MINUTES = f"select at, type, {TALLY} from series where step = 60 and at < %s order by at, type limit 2000"
HOURS = f"select at, type, {TALLY} from series where step = 3600 and at between %s and %s order by at, type"
DELETE_MINUTE = "delete from series where step = 60 and at = %s and type = %s"
DELETE_HOURS = "delete from series where step = 3600 and at < %s"
SINCE = f"""
select at, type, {TALLY} from series where step = 3600 and at >= %s
union all
select at, type, {TALLY} from series where step = 60 and at >= %s
order by at, type"""


class _Statements(Protocol):
    """A transaction of the writer."""

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Any: ...

    def send(self, sql: str, values: Sequence[Any] = ()) -> None: ...


def count(tx: _Statements, after: int, last: int, standing: Mapping[tuple[str, Status | None], int]) -> None:
    """Add the events after this number, up to the last one, after which so many jobs stand where."""
    for (at, type), later in tallied(map(_moves, tx.execute(MOVES, (after, last))), standing).items():
        found = tx.execute(SELECT, (micros(at), type))
        tally = Tally(found[0]) if found else Tally()
        tally.take(later)
        tx.send(INSERT, (60, micros(at), type, *tally.row()))


def _moves(row: Sequence[Any]) -> Moves:
    minute, type, before, name, number, spans = row
    seconds = [max(int(span), 0) / 1e6 for span in spans.split(",")] if spans else []
    return Moves(moment(minute * 60_000_000), type, STATUSES.get(before), name, number, seconds)


def shorten(tx: _Statements, now: datetime) -> None:
    """Make hours of the minutes that are too old, whole hours of them, and forget the oldest hours."""
    minutes = series_rows(tx.execute(OLD_MINUTES, (micros(begins(now - MINUTES_KEPT, HOUR)),)))
    if minutes:
        span = micros(begins(minutes[0].at, HOUR)), micros(minutes[-1].at)
        hours = rolled(series_rows(tx.execute(HOURS, span)), minutes)
        for row in hours:
            tx.send(INSERT, (3600, micros(row.at), row.type, *row.values))
        for row in minutes:
            tx.send(DELETE_MINUTE, (micros(row.at), row.type))
    tx.send(DELETE_HOURS, (micros(now - HOURS_KEPT),))


def series_rows(found: Iterable[Sequence[Any]]) -> Sequence[SeriesRow]:
    """Rows of SINCE, as values."""
    return [SeriesRow(moment(at), type, tuple(values)) for at, type, *values in found]
