-- The last runs of each type by which others are estimated, JSON: [[seconds, CPU seconds, {size: figure}], ...], 20 at most. A row
-- a type, written some seconds after runs have ended: nothing is lost with them but what is learned anew.
create table run_samples (
  type text primary key,
  samples text not null
) strict, without rowid;
