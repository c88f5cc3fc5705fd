"""Time series of the PostgreSQL store: one daemon at a time counts what was told, while the others go on telling."""

from datetime import datetime

from secondunit.queue.model import Status
from secondunit.queue.sight.series import COUNTERS
from secondunit.queue.stores import series_table
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.queue.stores.series_table import TALLY, SeriesStatements, Statements

COUNTING = 0x5EC0D002
STANDING = """
select counted, last_event, (select coalesce(json_agg(json_build_array(type, status, n)), '[]') from counts)
from numbers"""
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


def count_all(tx: PostgresTransaction) -> None:
    """Take in all events that were committed."""
    tx.execute("select pg_advisory_xact_lock(%s)", (COUNTING,))
    _count(tx)


def count_some(tx: PostgresTransaction) -> None:
    """Take in what was told, unless somebody does at the moment."""
    [[mine]] = tx.execute("select pg_try_advisory_xact_lock(%s)", (COUNTING,))
    if mine:
        _count(tx)


def _count(tx: PostgresTransaction) -> None:
    [[counted, last, rows]] = tx.execute(STANDING)
    if counted < last:
        stand: dict[tuple[str, Status | None], int] = {(type, Status(status)): n for type, status, n in rows}
        series_table.count(tx, tx.execute(MOVES, (counted, last)), stand, SQL)
        tx.send_last("update numbers set counted = %s", (last,))


def shorten(tx: Statements, now: datetime) -> None:
    """Make hours of the minutes that are too old, whole hours of them, and forget the oldest hours."""
    series_table.shorten(tx, now, SQL)
