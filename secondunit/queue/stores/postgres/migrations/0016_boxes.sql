-- The daemons of this queue, by the name of their box. `limits`, JSON, says how many jobs of each type one runs at once, `most`
-- how many in all; `lease` is how long its leases last. `drained` is an operator's word and outlives every boot. Heartbeats
-- change `seen_at` alone, on which no index hangs: updates in place.
create table boxes (
  name text primary key,
  boot text not null,
  address text not null,
  version text not null,
  limits text not null,
  most bigint not null check (most > 0),
  lease bigint not null check (lease > 0),
  seen_at bigint not null,
  phase text not null check (phase in ('up', 'stopping', 'ended')),
  drained smallint not null check (drained in (0, 1))
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
