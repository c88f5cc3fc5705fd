"""Dependency table: who waits for whom, and whose children are not told yet, by whichever daemon comes to it.

Who adds a child locks its parents, and who tells a child locks it: so no end is missed by two that come at once.
"""

from secondunit.queue.stores.dependencies import Links

LINKS = Links(
    children="select child from parents where parent = %s and child > %s order by child limit %s",
    parents="""
select j.id, j.status
from parents p
join jobs j on j.seq = p.parent
where p.child = %s
order by p.parent""",
    link="insert into parents (parent, child) values (%s, %s) on conflict do nothing",
    put_off="""
insert into untold (parent, told) values (%s, %s)
on conflict (parent) do update set told = excluded.told""",
    untold="""
select u.parent, u.told, j.updated_at
from untold u
join jobs j on j.seq = u.parent
order by u.parent
limit 100
for update of u skip locked""",
    take_up="delete from untold where parent = %s",
    any_untold="select 1 from untold limit 1",
)
