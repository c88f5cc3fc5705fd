-- What one daemon does for all of a queue: whose it is, under which term, until when; nobody's where no boot stands, since then.
-- Renewed every few seconds, so no index but the key, and room in the page (HOT).
create table duties (
  name text primary key,
  term bigint not null check (term >= 0),
  boot text,
  until bigint not null
) with (fillfactor = 50);
