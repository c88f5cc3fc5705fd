-- Jobs that ran when the daemon died are suspects until they are past that point, and are claimed one by one, not from the
-- line. `suspicion` is JSON, `entered_at` when the run entered its present phase or finished its last step.
alter table jobs add column suspicion text check (suspicion is null or status = 'queued' or status = 'running');
alter table jobs add column entered_at integer;
drop index jobs_ready;
create index jobs_ready on jobs (type, rank, seq) where status = 'queued' and delayed = 0 and suspicion is null;
create index jobs_suspected on jobs (seq) where suspicion is not null;
