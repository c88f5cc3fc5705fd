-- The types that a box declares for remote workers, JSON: each with a digest of what its file says of it.
alter table boxes add column remote text not null default '{}';
