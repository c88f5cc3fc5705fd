-- What one daemon does for all of a queue: whose it is, under which term, until when; nobody's where no boot stands, since then.
create table duties (
  name text primary key,
  term integer not null check (term >= 0),
  boot text,
  until integer not null
) strict, without rowid;
