-- Times are integer microseconds since 1970, UTC; JSON is text. One row of `jobs` is one job for its whole life.

create table jobs (
  seq integer primary key,
  id text not null unique,
  type text not null,
  priority integer not null check (priority between 0 and 4),
  rank integer not null check (rank between 0 and priority),
  status text not null,
  payload text not null,
  source text not null,
  labels text,
  created_at integer not null,
  updated_at integer not null,
  run_at integer,
  delayed integer not null check (delayed in (0, 1)),
  ready_at integer not null,
  started_at integer,
  finished_at integer,
  attempt integer not null check (attempt between 1 and max_retries + 1),
  reclaims integer not null check (reclaims >= 0),
  interruptions integer not null check (interruptions >= 0),
  epoch integer not null check (epoch >= 0),
  boot text,
  lease_until integer,
  cancel_requested integer not null check (cancel_requested in (0, 1)),
  progress real not null check (progress between 0 and 1),
  phase text,
  message text,
  result text,
  missing text,
  error text,
  stats text,
  max_retries integer not null check (max_retries >= 0),
  backoff text not null check (backoff in ('exponential', 'fixed')),
  initial_delay integer not null check (initial_delay >= 0),
  timeout integer,
  target_kind text,
  target_address text,
  idempotency_key text,
  idempotency_digest blob,
  dedupe_key text,
  sharers integer not null check (sharers >= 1),
  runs text,
  -- Each status by name: for a list, `in` builds a table at every write, 3 us.
  check (
    case status
      when 'queued' then finished_at is null
      when 'running' then finished_at is null
      when 'completed' then finished_at is not null
      when 'partial' then finished_at is not null
      when 'failed' then finished_at is not null
      when 'cancelled' then finished_at is not null
      else false
    end),
  check ((status = 'running') = (boot is not null and lease_until is not null)),
  check ((target_kind is null) = (target_address is null)),
  check (delayed = 0 or (status = 'queued' and run_at is not null))
) strict;

create index jobs_ready on jobs (type, rank, seq) where status = 'queued' and delayed = 0;
create index jobs_delayed on jobs (ready_at) where status = 'queued' and delayed = 1;
create index jobs_running on jobs (lease_until) where status = 'running';
create index jobs_ended on jobs (status, finished_at) where finished_at is not null;
create index jobs_listed on jobs (type, status, seq);
create unique index jobs_live_work on jobs (dedupe_key)
  where dedupe_key is not null and status in ('queued', 'running');

-- How many jobs of a type stand where: counting five million rows for every page of a list would take seconds. Written
-- once a transaction; triggers did the same in 5 us for each row that came and 10 us for each that moved.
create table counts (
  type text not null,
  status text not null,
  n integer not null check (n >= 0),
  primary key (type, status)
) strict, without rowid;

-- Numbers are given out by the writer, above both the last row and `events_floor`: none is used twice.
create table events (
  seq integer primary key,
  job integer not null references jobs (seq) on delete cascade,
  name text not null,
  at integer not null,
  status text not null,
  progress real not null,
  phase text,
  message text,
  attempt integer not null,
  error text,
  run_at integer
) strict;

create index events_of_job on events (job);

create table steps (
  job integer not null references jobs (seq) on delete cascade,
  name text not null,
  done integer not null check (done in (0, 1)),
  result text,
  sends integer not null check (sends >= 0),
  at integer not null,
  primary key (job, name)
) strict, without rowid;

create table deliveries (
  seq integer primary key,
  id text not null unique,
  job integer not null references jobs (seq) on delete cascade,
  kind text not null,
  address text not null,
  notice text not null,
  state text not null check (state in ('pending', 'delivered', 'dead')),
  attempts integer not null check (attempts >= 0),
  created_at integer not null,
  next_at integer,
  finished_at integer,
  last_status integer,
  last_error text,
  check ((state = 'pending') = (next_at is not null))
) strict;

create index deliveries_due on deliveries (next_at, state) where state = 'pending';
create index deliveries_delivered on deliveries (state) where state = 'delivered';
create index deliveries_dead on deliveries (state) where state = 'dead';
create index deliveries_of_job on deliveries (job, seq);

create table cache (
  key text primary key,
  value text not null,
  job_id text not null,
  made_at integer not null,
  expires_at integer not null
) strict, without rowid;

create index cache_expiring on cache (expires_at);
create index cache_of_job on cache (job_id);

create table idempotency (
  key text primary key,
  job_id text not null,
  digest blob not null,
  expires_at integer not null
) strict, without rowid;

create index idempotency_expiring on idempotency (expires_at);

create table api_keys (
  prefix text primary key,
  digest blob not null,
  name text not null,
  scopes text not null,
  created_at integer not null,
  last_used_at integer,
  revoked_at integer
) strict, without rowid;

create table paused (
  type text primary key
) strict, without rowid;

create table meta (
  key text primary key,
  value text not null
) strict, without rowid;

insert into meta values ('events_floor', '0');
