-- Batches are listed newest first, all of them or those of one key.
create index batches_by_age on batches (first);
create index batches_by_owner on batches (owner, first) where owner is not null;
