-- Jobs are numbered as they come, by a sequence nobody waits for; the row of `numbers` is locked only for the end of a
-- transaction, in which its events are numbered. Numbers of jobs may have gaps, and need not follow the commits.
create sequence job_numbers;
select setval('job_numbers', greatest(last_job, 1), last_job > 0) from numbers;
alter table numbers drop column last_job;
