-- The only box that may run a job, since its input is a local file there. Such jobs stand in lines of their own, so that a claim
-- looks at none of another box's; in that over all boxes they age, and people see who is before whom.
alter table jobs add column box text;

drop index jobs_ready;
create index jobs_ready on jobs (type, rank, seq)
  where status = 'queued' and delayed = 0 and suspicion is null and waiting_for is null and box is null;
create index jobs_ready_here on jobs (type, box, rank, seq)
  where status = 'queued' and delayed = 0 and suspicion is null and waiting_for is null and box is not null;
create index jobs_ready_bound on jobs (type, rank, seq)
  where status = 'queued' and delayed = 0 and suspicion is null and waiting_for is null and box is not null;
