-- Whose jobs are: `submitted_by` is a name for people, `owner` the prefix of the access key that a job came with. Listing and
-- counting an owner's jobs reads the index alone; a job without an owner costs it nothing.
alter table jobs add column submitted_by text;
alter table jobs add column owner text;
create index jobs_owned on jobs (owner, status, seq, type) where owner is not null;

-- `scopes` and `types` (null: all) are JSON lists; `digest` is the key's SHA-256.
drop table api_keys;
create table access_keys (
  prefix text primary key,
  digest blob not null,
  name text not null,
  scopes text not null,
  types text,
  rate text,
  created_at integer not null,
  expires_at integer,
  last_used_at integer,
  revoked_at integer
) strict, without rowid;

create table audit (
  seq integer primary key autoincrement,
  at integer not null,
  key text,
  address text not null,
  action text not null,
  target text,
  detail text
) strict;

create index audit_by_age on audit (at);
