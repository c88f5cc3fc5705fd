"""Time series of the PostgreSQL store: its statements."""

from collections.abc import Mapping
from datetime import datetime

from secondunit.queue.model import Status
from secondunit.queue.sight.series import COUNTERS
from secondunit.queue.stores import series_table
from secondunit.queue.stores.series_table import TALLY, SeriesStatements, Statements

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
SQL = SeriesStatements(
    select=f"select {TALLY} from series where step = 60 and at = %s and type = %s",
    put=f"""
insert into series values (%s, %s, %s, {", ".join(["%s"] * (len(COUNTERS) + 4))})
on conflict (step, at, type) do update
set {", ".join(f"{name} = excluded.{name}" for name in TALLY.split(", "))}""",
    old_minutes=f"select at, type, {TALLY} from series where step = 60 and at < %s order by at, type limit 2000",
    hours=f"select at, type, {TALLY} from series where step = 3600 and at between %s and %s order by at, type",
    forget_minute="delete from series where step = 60 and at = %s and type = %s",
    forget_hours="delete from series where step = 3600 and at < %s",
)
SINCE = f"""
select at, type, {TALLY} from series where step = 3600 and at >= %s
union all
select at, type, {TALLY} from series where step = 60 and at >= %s
order by at, type"""


def count(tx: Statements, after: int, last: int, standing: Mapping[tuple[str, Status | None], int]) -> None:
    """Add the events after this number, up to the last one, after which so many jobs stand where."""
    series_table.count(tx, tx.execute(MOVES, (after, last)), standing, SQL)


def shorten(tx: Statements, now: datetime) -> None:
    """Make hours of the minutes that are too old, whole hours of them, and forget the oldest hours."""
    series_table.shorten(tx, now, SQL)
