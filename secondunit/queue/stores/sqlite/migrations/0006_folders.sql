-- Which output folders are ours: whoever can write in a root can write a manifest, but not here. No job is referred to,
-- because a folder outlives its job; there are at most as many rows as folders were published.
create table folders (
  path text not null,
  manifest_at integer not null,
  inode integer not null,
  job_id text not null,
  epoch integer not null,
  at integer not null,
  primary key (path, manifest_at)
) strict, without rowid;
create index folders_inode on folders (inode);

-- What a newer output left behind, for players that still read the older one; `files` is JSON.
create table replaced (
  path text not null,
  part text not null,
  files text not null check (json_valid(files)),
  at integer not null,
  primary key (path, part)
) strict, without rowid;
create index replaced_at on replaced (at);

-- Adopted, once, are the streams that earlier versions published: a completed job is known here and says where. Their
-- inode was not noted (0), and their manifest was written a little before the job's end.
insert or ignore into folders (path, manifest_at, inode, job_id, epoch, at)
select rtrim(json_extract(payload, '$.outputDir'), '/'), finished_at, 0, id, epoch, finished_at
from jobs
where status = 'completed'
  and json_extract(payload, '$.outputDir') like '/%'
  and json_extract(result, '$.masterPath') = rtrim(json_extract(payload, '$.outputDir'), '/') || '/master.m3u8';
