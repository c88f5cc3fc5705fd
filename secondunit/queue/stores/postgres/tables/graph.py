"""Dependency table: who waits for whom.

Children are told in the transaction that ends their parent, so many by each, the rest by later ones of any daemon.
Who adds a child locks its parents, and who tells a child locks it: so no end is missed by two that come at once.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from secondunit.queue.errors import BadDependencies, JobNotFound, Misplaced, NotAllowed
from secondunit.queue.graph import moves
from secondunit.queue.model import Batch, Change, Job, JobId, Status
from secondunit.queue.stores.postgres.tables import batches
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.queue.stores.rows import STATUSES, moment
from secondunit.queue.value import replace

TOLD_AT_ONCE = 500
CHILDREN = "select child from parents where parent = %s and child > %s order by child limit %s"
PARENTS = """
select j.id, j.status
from parents p
join jobs j on j.seq = p.parent
where p.child = %s
order by p.parent"""
LINK = "insert into parents (parent, child) values (%s, %s) on conflict do nothing"
PUT_OFF = """
insert into untold (parent, told) values (%s, %s)
on conflict (parent) do update set told = excluded.told"""
UNTOLD = """
select u.parent, u.told, j.updated_at
from untold u
join jobs j on j.seq = u.parent
order by u.parent
limit 100
for update of u skip locked"""

Fresh = tuple[Job, Change]


class ByRows(NamedTuple):
    """How jobs are got by id and by number, inserted, and written."""

    get: Callable[[PostgresTransaction, JobId], Job]
    numbered: Callable[[PostgresTransaction, Sequence[int]], list[Job]]
    insert: Callable[[PostgresTransaction, Sequence[Fresh], Mapping[str, Job]], None]
    write: Callable[[PostgresTransaction, Job, Change], Job]


def store(
    tx: PostgresTransaction,
    answers: Sequence[tuple[Job, bool]],
    fresh: Sequence[Fresh],
    keys: Mapping[str, Job],
    standing: Mapping[JobId, JobId],
    batch: Batch | None,
    rows: ByRows,
) -> list[tuple[Job, bool]]:
    """Insert jobs that depend on others, or are a batch; the answers, with what became of them.

    `standing` has the ids of jobs that stand for others that were asked for.
    """
    fresh, parents = _bound(tx, fresh, standing, rows)
    rows.insert(tx, fresh, keys)
    if batch and fresh:
        batches.add(tx, batch, fresh[0][0].seq, len(fresh))
    if any(job.depends_on for job, _ in fresh):
        _link(tx, fresh, parents, rows, fresh[0][0].created_at)
        now = rows.numbered(tx, [job.seq for job, _ in answers])
        return [(job, new) for job, (_, new) in zip(now, answers, strict=True)]
    return list(answers)


def _bound(
    tx: PostgresTransaction, fresh: Sequence[Fresh], standing: Mapping[JobId, JobId], rows: ByRows
) -> tuple[list[Fresh], Mapping[JobId, Job]]:
    """New jobs that wait for their parents and know that they are followed, and the parents that were there before."""
    new = {job.id: job for job, _ in fresh}
    old: dict[JobId, Job] = {}
    made: list[Fresh] = []
    followed = {standing.get(id, id) for job, _ in fresh for id in job.depends_on}
    for index, (asked, change) in enumerate(fresh):
        job = asked
        if job.bonds and job.bonds.depends_on:
            ids = [standing.get(id, id) for id in job.bonds.depends_on]
            for id in ids:
                if id not in new and id not in old:
                    old[id] = _known(tx, index, id, rows)
            parents = {id: (new.get(id) or old[id]).status for id in ids}
            job = moves.bound(replace(job, bonds=replace(job.bonds, depends_on=ids)), parents)
        made.append((replace(job, followed=True) if job.id in followed else job, change))
    return made, old


def _known(tx: PostgresTransaction, index: int, id: JobId, rows: ByRows) -> Job:
    try:
        return rows.get(tx, id)
    except JobNotFound as error:
        raise BadDependencies([Misplaced(index, "dependsOn", str(error))]) from None


def _link(
    tx: PostgresTransaction, fresh: Sequence[Fresh], old: Mapping[JobId, Job], rows: ByRows, now: datetime
) -> None:
    """Store who waits for whom, and end at once those whose parents failed before."""
    new = {job.id: job for job, _ in fresh}
    links = [((new.get(id) or old[id]).seq, job.seq) for job, _ in fresh for id in job.depends_on]
    for link in links:
        tx.send(LINK, link)
    for parent in old.values():
        if not parent.followed:
            rows.write(tx, parent, Change(replace(parent, followed=True)))
    if any(parent.status.ended for parent in old.values()):
        bad = {parent.id for parent in old.values() if parent.status.ended and parent.status not in moves.SUCCEEDED}
        tx.telling = True
        _tell(tx, [job.seq for job, _ in fresh if not bad.isdisjoint(job.depends_on)], rows, now)
        _spread(tx, rows)


def rejoined(tx: PostgresTransaction, job: Job) -> Job:
    """A job that somebody queued again, waiting for its parents; NotAllowed when one of them is failed."""
    return moves.rejoined(job, _parents(tx, job.seq))


def moved(tx: PostgresTransaction, job: Job, rows: ByRows) -> None:
    """A job that others follow has ended, or is back: tell them, and those that follow them."""
    tx.news.append((job.seq, 0, job.updated_at))
    if not tx.telling:
        _spread(tx, rows)


def go_on(tx: PostgresTransaction, rows: ByRows) -> None:
    """Tell those next that an earlier transaction had no room for."""
    found = tx.execute(UNTOLD)
    for parent, _, _ in found:
        tx.send("delete from untold where parent = %s", (parent,))
    tx.news += [(parent, told, moment(at)) for parent, told, at in found]
    _spread(tx, rows)
    tx.goes_on = bool(tx.execute("select 1 from untold limit 1"))


def _spread(tx: PostgresTransaction, rows: ByRows) -> None:
    tx.telling = True
    while tx.news and tx.informed < TOLD_AT_ONCE:
        parent, told, now = tx.news.popleft()
        limit = TOLD_AT_ONCE - tx.informed
        children = [child for (child,) in tx.execute(CHILDREN, (parent, told, limit))]
        tx.informed += len(children)
        _tell(tx, children, rows, now)
        if len(children) == limit:
            tx.news.append((parent, children[-1], now))
    if tx.news:
        for parent, told, _ in tx.news:
            tx.send(PUT_OFF, (parent, told))
        tx.news.clear()
        tx.goes_on = True
    tx.telling = False


def _tell(tx: PostgresTransaction, children: Sequence[int], rows: ByRows, now: datetime) -> None:
    for child in rows.numbered(tx, children):
        change = moves.after_parents(child, _parents(tx, child.seq), now)
        if change.job != child:
            try:
                rows.write(tx, child, change)
            except NotAllowed:  # it can't come back, since another job does its work by now
                continue


def _parents(tx: PostgresTransaction, seq: int) -> Mapping[JobId, Status]:
    return {id: STATUSES[status] for id, status in tx.execute(PARENTS, (seq,))}
