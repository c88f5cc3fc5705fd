-- The only box that may run a job, since its input is a local file there.
alter table jobs add column box text;
