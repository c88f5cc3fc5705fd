-- Where each schedule of the file stands: what was due up to `since` is dealt with. `open_jobs`, a JSON list, are the jobs
-- whose end is not counted yet; no job is referred to, since they come and go by themselves.
create table schedules (
  name text primary key,
  cron text not null,
  timezone text not null,
  since integer not null,
  last_at integer,
  last_job text,
  last_status text,
  paused integer not null check (paused in (0, 1)),
  why text,
  failures integer not null check (failures >= 0),
  open_jobs text not null check (json_valid(open_jobs))
) strict, without rowid;
