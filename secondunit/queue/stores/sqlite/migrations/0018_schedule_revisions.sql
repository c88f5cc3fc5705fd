-- How often a schedule's state was written: who replaces one must have seen the one that stands.
alter table schedules add column revision integer not null default 0;
