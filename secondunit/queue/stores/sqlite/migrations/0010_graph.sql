-- Jobs that hang together. `bonds` is what a job was submitted with, JSON; `waiting_for` counts the jobs it depends on that have
-- not ended, `followed` is 1 where others depend on it: all three are null in jobs that stand alone, and cost those nothing.
alter table jobs add column bonds text;
alter table jobs add column batch text;
alter table jobs add column waiting_for integer check (waiting_for > 0);
alter table jobs add column followed integer check (followed = 1);
drop index jobs_ready;
create index jobs_ready on jobs (type, rank, seq)
  where status = 'queued' and delayed = 0 and suspicion is null and waiting_for is null;
drop index jobs_delayed;
create index jobs_delayed on jobs (ready_at) where status = 'queued' and delayed = 1 and waiting_for is null;

create table parents (
  parent integer not null references jobs (seq) on delete cascade,
  child integer not null references jobs (seq) on delete cascade,
  primary key (parent, child)
) strict, without rowid;

create index parents_of_child on parents (child);

-- Jobs that ended, or are back, and have more children than one transaction tells of it: those after `told` are told by the next
-- ones, also after a crash.
create table untold (
  parent integer primary key references jobs (seq) on delete cascade,
  told integer not null
) strict;

-- The jobs of a batch have the numbers from `first` to `last`, and theirs alone are there. `finished_at` is set while all of them
-- have ended.
create table batches (
  id text primary key,
  first integer not null,
  last integer not null,
  name text,
  target_kind text,
  target_address text,
  owner text,
  total integer not null,
  created_at integer not null,
  finished_at integer,
  check ((target_kind is null) = (target_address is null))
) strict, without rowid;

create index batches_open on batches (first, last) where finished_at is null;
create index batches_finished on batches (finished_at) where finished_at is not null;
