"""Dependency table: who waits for whom, and whose children are not told yet."""

from secondunit.queue.stores.dependencies import Links

LINKS = Links(
    children="select child from parents where parent = ? and child > ? order by child limit ?",
    parents="""
select j.id, j.status
from parents p
join jobs j on j.seq = p.parent
where p.child = ?
order by p.parent""",
    link="insert or ignore into parents (parent, child) values (?, ?)",
    put_off="insert or replace into untold (parent, told) values (?, ?)",
    untold="""
select u.parent, u.told, j.updated_at
from untold u
join jobs j on j.seq = u.parent
order by u.parent
limit 100""",
    take_up="delete from untold where parent = ?",
    any_untold="select 1 from untold limit 1",
)
