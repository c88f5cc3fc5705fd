"""Dependencies between stored jobs: what an add, an end and a return of a job mean for those that depend on it.

Children are told in the transaction that ends their parent, so many by each, the rest by later ones.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from secondunit.queue.errors import BadDependencies, JobNotFound, Misplaced, NotAllowed
from secondunit.queue.graph import moves
from secondunit.queue.model import Batch, Change, Job, JobId, Status
from secondunit.queue.stores.rows import STATUSES, moment
from secondunit.queue.value import replace

TOLD_AT_ONCE = 500

Fresh = tuple[Job, Change]


class Links(NamedTuple):
    """A store's statements: children after one, parents with their status, a link; what is untold, of which parents."""

    children: str
    parents: str
    link: str
    put_off: str
    untold: str
    take_up: str
    any_untold: str


class Telling(Protocol):
    """A transaction, and its moved parents whose children are being told.

    `news` are their numbers, the last child told and the time; `informed` are the children that were told.
    """

    news: deque[tuple[int, int, datetime]]
    telling: bool
    informed: int

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Iterable[Any]:
        """Run a statement; its rows."""
        ...

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row of values."""
        ...

    def leave(self, something: bool) -> None:
        """Whether something is left to a later transaction."""
        ...


Tx = TypeVar("Tx", bound=Telling)


class ByRows(NamedTuple, Generic[Tx]):
    """How jobs are got by id and by number, inserted, and written, how a batch is stored; and the statements."""

    get: Callable[[Tx, JobId], Job]
    numbered: Callable[[Tx, Sequence[int]], list[Job]]
    insert: Callable[[Tx, Sequence[Fresh], Mapping[str, Job]], None]
    write: Callable[[Tx, Job, Change], Job]
    add_batch: Callable[[Tx, Batch, int, int], None]
    links: Links


def store(
    tx: Tx,
    answers: Sequence[tuple[Job, bool]],
    fresh: Sequence[Fresh],
    keys: Mapping[str, Job],
    standing: Mapping[JobId, JobId],
    batch: Batch | None,
    rows: ByRows[Tx],
) -> list[tuple[Job, bool]]:
    """Insert jobs that depend on others, or are a batch; the answers, with what became of them.

    `standing` has the ids of jobs that stand for others that were asked for.
    """
    fresh, parents = _bound(tx, fresh, standing, rows)
    rows.insert(tx, fresh, keys)
    if batch and fresh:
        rows.add_batch(tx, batch, fresh[0][0].seq, len(fresh))
    if any(job.depends_on for job, _ in fresh):
        _link(tx, fresh, parents, rows, fresh[0][0].created_at)
        now = rows.numbered(tx, [job.seq for job, _ in answers])
        return [(job, new) for job, (_, new) in zip(now, answers, strict=True)]
    return list(answers)


def _bound(
    tx: Tx, fresh: Sequence[Fresh], standing: Mapping[JobId, JobId], rows: ByRows[Tx]
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


def _known(tx: Tx, index: int, id: JobId, rows: ByRows[Tx]) -> Job:
    try:
        return rows.get(tx, id)
    except JobNotFound as error:
        raise BadDependencies([Misplaced(index, "dependsOn", str(error))]) from None


def _link(tx: Tx, fresh: Sequence[Fresh], old: Mapping[JobId, Job], rows: ByRows[Tx], now: datetime) -> None:
    """Store who waits for whom, and end at once those whose parents failed before."""
    new = {job.id: job for job, _ in fresh}
    links = [((new.get(id) or old[id]).seq, job.seq) for job, _ in fresh for id in job.depends_on]
    tx.executemany(rows.links.link, links)
    for parent in old.values():
        if not parent.followed:
            rows.write(tx, parent, Change(replace(parent, followed=True)))
    if any(parent.status.ended for parent in old.values()):
        bad = {parent.id for parent in old.values() if parent.status.ended and parent.status not in moves.SUCCEEDED}
        tx.telling = True
        _tell(tx, [job.seq for job, _ in fresh if not bad.isdisjoint(job.depends_on)], rows, now)
        _spread(tx, rows)


def rejoined(tx: Tx, job: Job, rows: ByRows[Tx]) -> Job:
    """A job that somebody queued again, waiting for its parents; NotAllowed when one of them is failed."""
    return moves.rejoined(job, _parents(tx, job.seq, rows))


def moved(tx: Tx, job: Job, rows: ByRows[Tx]) -> None:
    """A job that others follow has ended, or is back: tell them, and those that follow them."""
    tx.news.append((job.seq, 0, job.updated_at))
    if not tx.telling:
        _spread(tx, rows)


def go_on(tx: Tx, rows: ByRows[Tx]) -> None:
    """Tell those next that an earlier transaction had no room for."""
    found = [*tx.execute(rows.links.untold)]
    tx.executemany(rows.links.take_up, [(parent,) for parent, _, _ in found])
    tx.news += [(parent, told, moment(at)) for parent, told, at in found]
    _spread(tx, rows)
    tx.leave(bool([*tx.execute(rows.links.any_untold)]))


def _spread(tx: Tx, rows: ByRows[Tx]) -> None:
    tx.telling = True
    while tx.news and tx.informed < TOLD_AT_ONCE:
        parent, told, now = tx.news.popleft()
        limit = TOLD_AT_ONCE - tx.informed
        children = [child for (child,) in tx.execute(rows.links.children, (parent, told, limit))]
        tx.informed += len(children)
        _tell(tx, children, rows, now)
        if len(children) == limit:
            tx.news.append((parent, children[-1], now))
    if tx.news:
        tx.executemany(rows.links.put_off, [(parent, told) for parent, told, _ in tx.news])
        tx.news.clear()
        tx.leave(True)
    tx.telling = False


def _tell(tx: Tx, children: Sequence[int], rows: ByRows[Tx], now: datetime) -> None:
    for child in rows.numbered(tx, children):
        change = moves.after_parents(child, _parents(tx, child.seq, rows), now)
        if change.job != child:
            try:
                rows.write(tx, child, change)
            except NotAllowed:  # it can't come back, since another job does its work by now
                continue


def _parents(tx: Tx, seq: int, rows: ByRows[Tx]) -> Mapping[JobId, Status]:
    return {id: STATUSES[status] for id, status in tx.execute(rows.links.parents, (seq,))}
