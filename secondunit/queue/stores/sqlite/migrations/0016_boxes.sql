-- The daemons of this queue, by the name of their box. `limits`, JSON, says how many jobs of each type one runs at once, `most`
-- how many in all; `lease` is how long its leases last. `drained` is an operator's word and outlives every boot.
create table boxes (
  name text primary key,
  boot text not null,
  address text not null,
  version text not null,
  limits text not null check (json_valid(limits)),
  most integer not null check (most > 0),
  lease integer not null check (lease > 0),
  seen_at integer not null,
  phase text not null check (phase in ('up', 'stopping', 'ended')),
  drained integer not null check (drained in (0, 1))
) strict, without rowid;
