-- The settings of a box that hold for what all share, JSON: each with a digest of its value.
alter table boxes add column rules text not null default '{}';
