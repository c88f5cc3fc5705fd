-- How long runs took by a clock that is never set, in microseconds: `worked` is the sum of all of a job's runs. Null in rows
-- of before, and where there is nothing to tell.
alter table jobs add column first_started_at integer;
alter table jobs add column worked integer check (worked >= 0);
alter table events add column duration integer check (duration >= 0);
