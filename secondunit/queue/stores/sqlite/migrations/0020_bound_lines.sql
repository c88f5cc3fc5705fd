-- Jobs that only one box may run, while they wait: whether there are any is asked before a box is forgotten.
create index jobs_bound on jobs (box)
  where status = 'queued' and delayed = 0 and suspicion is null and waiting_for is null and box is not null;
