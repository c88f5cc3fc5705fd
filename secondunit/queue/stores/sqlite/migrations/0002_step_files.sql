-- What the files that a step's result points to are known by: JSON {path: [bytes, sha256]}; null where it points to none.
alter table steps add column files text;
