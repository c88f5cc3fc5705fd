-- How many jobs of a type may run at once, where an operator said otherwise than the settings.
create table type_limits (
  type text primary key,
  concurrency integer not null check (concurrency >= 1)
) strict, without rowid;
