-- Times are integer microseconds since 1970, UTC; JSON is text, since jsonb refuses what JSON can say (\u0000). One row of `jobs`
-- is one job for its whole life. The columns are those of the SQLite store, but for leases, which have a table of their own.

-- The one row under whose lock jobs and events are numbered, from that moment to the commit: so numbers follow the order of
-- the commits, and whoever reads up to one misses none below it.
create table numbers (
  one smallint primary key check (one = 1),
  last_job bigint not null,
  last_event bigint not null,
  counted bigint not null,
  events_floor bigint not null
) with (fillfactor = 10);

insert into numbers values (1, 0, 0, 0, 0);

-- What each writing connection did last: after a connection was lost in the middle of a commit this says whether it was done.
create table writers (
  writer text primary key,
  op bigint not null,
  opened_at timestamptz not null default now()
) with (fillfactor = 10);

create table meta (
  key text primary key,
  value text not null
);

create table jobs (
  seq bigint primary key,
  id text not null unique,
  type text not null,
  priority smallint not null check (priority between 0 and 4),
  rank smallint not null check (rank between 0 and priority),
  status text not null,
  payload text not null,
  source text not null,
  labels text,
  created_at bigint not null,
  updated_at bigint not null,
  run_at bigint,
  delayed smallint not null check (delayed in (0, 1)),
  ready_at bigint not null,
  started_at bigint,
  finished_at bigint,
  attempt bigint not null check (attempt between 1 and max_retries + 1),
  reclaims bigint not null check (reclaims >= 0),
  interruptions bigint not null check (interruptions >= 0),
  epoch bigint not null check (epoch >= 0),
  cancel_requested smallint not null check (cancel_requested in (0, 1)),
  progress double precision not null check (progress between 0 and 1),
  phase text,
  message text,
  result text,
  missing text,
  error text,
  stats text,
  max_retries bigint not null check (max_retries >= 0),
  backoff text not null check (backoff in ('exponential', 'fixed')),
  initial_delay bigint not null check (initial_delay >= 0),
  timeout bigint,
  target_kind text,
  target_address text,
  idempotency_key text,
  idempotency_digest bytea,
  dedupe_key text,
  sharers bigint not null check (sharers >= 1),
  runs text,
  first_started_at bigint,
  worked bigint check (worked >= 0),
  suspicion text check (suspicion is null or status in ('queued', 'running')),
  entered_at bigint,
  submitted_by text,
  owner text,
  bonds text,
  batch text,
  waiting_for bigint check (waiting_for > 0),
  followed smallint check (followed = 1),
  phases text,
  check (status in ('queued', 'running', 'completed', 'partial', 'failed', 'cancelled')),
  check ((status in ('queued', 'running')) = (finished_at is null)),
  check ((target_kind is null) = (target_address is null)),
  check (delayed = 0 or (status = 'queued' and run_at is not null))
) with (fillfactor = 80);

create index jobs_ready on jobs (type, rank, seq)
  where status = 'queued' and delayed = 0 and suspicion is null and waiting_for is null;
create index jobs_delayed on jobs (ready_at) where status = 'queued' and delayed = 1 and waiting_for is null;
create index jobs_suspected on jobs (seq) where suspicion is not null;
create index jobs_ended on jobs (status, finished_at) where finished_at is not null;
create index jobs_listed on jobs (type, status, seq);
create index jobs_owned on jobs (owner, status, seq, type) where owner is not null;
create unique index jobs_live_work on jobs (dedupe_key) where dedupe_key is not null and status in ('queued', 'running');

-- The jobs that run: a row each, narrow, since heartbeats write it again and again. No index holds `lease_until`, and pages
-- have room, so that a beat is a HOT update and leaves nothing for vacuum.
create table leases (
  job bigint primary key references jobs (seq) on delete cascade,
  lease_epoch bigint not null,
  boot text not null,
  lease_until bigint not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- How many jobs of a type stand where; written once a transaction, under the lock of `numbers`.
create table counts (
  type text not null,
  status text not null,
  n bigint not null check (n >= 0),
  primary key (type, status)
) with (fillfactor = 50);

create table events (
  seq bigint primary key,
  job bigint not null references jobs (seq) on delete cascade,
  name text not null,
  at bigint not null,
  status text not null,
  progress double precision not null,
  phase text,
  message text,
  attempt bigint not null,
  error text,
  run_at bigint,
  duration bigint check (duration >= 0)
);

create index events_of_job on events (job, seq);

create table steps (
  job bigint not null references jobs (seq) on delete cascade,
  name text not null,
  done smallint not null check (done in (0, 1)),
  result text,
  sends bigint not null check (sends >= 0),
  at bigint not null,
  files text,
  primary key (job, name)
);

create table deliveries (
  seq bigint generated always as identity primary key,
  id text not null unique,
  job bigint not null references jobs (seq) on delete cascade,
  kind text not null,
  address text not null,
  notice text not null,
  state text not null check (state in ('pending', 'delivered', 'dead')),
  attempts bigint not null check (attempts >= 0),
  created_at bigint not null,
  next_at bigint,
  finished_at bigint,
  last_status bigint,
  last_error text,
  tries text,
  check ((state = 'pending') = (next_at is not null))
);

create index deliveries_due on deliveries (next_at) where state = 'pending';
create index deliveries_by_state on deliveries (state);
create index deliveries_of_job on deliveries (job, seq);

create table cache (
  key text primary key,
  value text not null,
  job_id text not null,
  made_at bigint not null,
  expires_at bigint not null
);

create index cache_expiring on cache (expires_at);
create index cache_of_job on cache (job_id);

create table idempotency (
  key text primary key,
  job_id text not null,
  digest bytea not null,
  expires_at bigint not null
);

create index idempotency_expiring on idempotency (expires_at);

create table access_keys (
  prefix text primary key,
  digest bytea not null,
  name text not null,
  scopes text not null,
  types text,
  rate text,
  created_at bigint not null,
  expires_at bigint,
  last_used_at bigint,
  revoked_at bigint
);

create table audit (
  seq bigint generated always as identity primary key,
  at bigint not null,
  key text,
  address text not null,
  action text not null,
  target text,
  detail text
);

create index audit_by_age on audit (at);

create table paused (
  type text primary key
);

create table type_limits (
  type text primary key,
  concurrency bigint not null check (concurrency >= 1)
);

-- What happened in each minute (`step` 60) or hour (3600), of each type; `waits` and `runs` are JSON histograms.
create table series (
  step integer not null check (step in (60, 3600)),
  at bigint not null,
  type text not null,
  submitted bigint not null,
  started bigint not null,
  completed bigint not null,
  partial bigint not null,
  failed bigint not null,
  cancelled bigint not null,
  retried bigint not null,
  queued bigint not null,
  running bigint not null,
  waits text not null,
  runs text not null,
  primary key (step, at, type)
);

-- The last runs of each type by which others are estimated, JSON: [[seconds, CPU seconds, {size: figure}], ...].
create table run_samples (
  type text primary key,
  samples text not null
);

create table folders (
  path text not null,
  manifest_at bigint not null,
  inode numeric not null,
  job_id text not null,
  epoch bigint not null,
  at bigint not null,
  primary key (path, manifest_at)
);

create index folders_inode on folders (inode);

create table replaced (
  path text not null,
  part text not null,
  files text not null,
  at bigint not null,
  primary key (path, part)
);

create index replaced_at on replaced (at);

create table schedules (
  name text primary key,
  cron text not null,
  timezone text not null,
  since bigint not null,
  last_at bigint,
  last_job text,
  last_status text,
  paused smallint not null check (paused in (0, 1)),
  why text,
  failures bigint not null check (failures >= 0),
  open_jobs text not null
);

create table parents (
  parent bigint not null references jobs (seq) on delete cascade,
  child bigint not null references jobs (seq) on delete cascade,
  primary key (parent, child)
);

create index parents_of_child on parents (child);

-- Jobs that ended, or are back, and have more children than one transaction tells of it: those after `told` come next.
create table untold (
  parent bigint primary key references jobs (seq) on delete cascade,
  told bigint not null
);

-- The jobs of a batch have the numbers from `first` to `last`, and theirs alone are there.
create table batches (
  id text primary key,
  first bigint not null,
  last bigint not null,
  name text,
  target_kind text,
  target_address text,
  owner text,
  total bigint not null,
  created_at bigint not null,
  finished_at bigint,
  check ((target_kind is null) = (target_address is null))
);

create index batches_open on batches (first, last) where finished_at is null;
create index batches_finished on batches (finished_at) where finished_at is not null;
create index batches_by_age on batches (first);
create index batches_by_owner on batches (owner, first) where owner is not null;
