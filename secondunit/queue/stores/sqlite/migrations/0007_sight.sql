-- How many jobs of a type may run at once, where an operator said otherwise than the settings.
create table type_limits (
  type text primary key,
  concurrency integer not null check (concurrency >= 1)
) strict, without rowid;

-- What happened in each minute (`step` 60), of each type, counted from the events after number `series_counted`, some hundreds at
-- a time; pruning makes hours (3600) of minutes after two days, and drops these after 90: the table is bounded by types and time,
-- not by jobs. `queued` and `running` are as the last move left them, `waits` and `runs` JSON histograms (queue/sight/series.py).
create table series (
  step integer not null check (step in (60, 3600)),
  at integer not null,
  type text not null,
  submitted integer not null,
  started integer not null,
  completed integer not null,
  partial integer not null,
  failed integer not null,
  cancelled integer not null,
  retried integer not null,
  queued integer not null,
  running integer not null,
  waits text not null,
  runs text not null,
  primary key (step, at, type)
) strict, without rowid;

insert into meta
select 'series_counted', max(cast(value as integer), coalesce((select max(seq) from events), 0))
from meta
where key = 'events_floor';
