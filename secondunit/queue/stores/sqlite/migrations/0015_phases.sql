-- The phases that a running job has been through; those of its ended runs stand in their history.
alter table jobs add column phases text;
