"""Binding: names of parents become ids, what a payload refers to is depended on, and no job waits for itself."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from operator import attrgetter
from typing import ParamSpec, TypeVar

from secondunit.queue.errors import BadDependencies, Misplaced
from secondunit.queue.graph.references import Reference, dotted
from secondunit.queue.model import Bonds, Filter, Job, JobId, Page, Submission
from secondunit.queue.payloads.field_faults import MOST_FAULTS
from secondunit.queue.value import replace

P = ParamSpec("P")
R = TypeVar("R")
MOST_PARENTS = 100
BOUND_ON_LOOP = 2000
MOST_NAMED = 20
NAMES_AT_ONCE = 500
BONDS = attrgetter("bonds")
Find = Callable[[Filter, int | None, int], Awaitable[Page]]
Sees = Callable[[Job], bool]
References = Sequence[Sequence[Reference]]


def everything(_: Job) -> bool:
    """Every job is seen."""
    return True


async def looked_up(
    asked: Sequence[Submission], references: References, ids: Sequence[JobId], find: Find, sees: Sees
) -> Sequence[Submission]:
    """The submissions as `bound` makes them, by those of the jobs they name that are there and may be seen."""
    if not any(references) and not any(map(BONDS, asked)):
        return asked
    known: set[JobId] = set()
    edges = sum(len(one.bonds.depends_on) for one in asked if one.bonds) + sum(map(len, references))
    names = await _beside(edges, outside, asked, references)
    for start in range(0, len(names), NAMES_AT_ONCE):
        named, cursor, more = Filter(ids=names[start : start + NAMES_AT_ONCE]), None, True
        while more:  # what parents have made may be large, so that fewer are on a page
            page = await find(named, cursor, NAMES_AT_ONCE)
            known |= {job.id for job in page.jobs if sees(job)}
            cursor, more = page.next_cursor, page.next_cursor is not None
    return await _beside(edges, bound, asked, references, ids, known)


def bound(
    asked: Sequence[Submission], references: References, ids: Sequence[JobId], known: Collection[JobId]
) -> Sequence[Submission]:
    """The submissions with ids for parents; BadDependencies naming each that is not one of `known`, or goes round.

    `ids` are those that the jobs will have; a name within the batch comes before an id.
    """
    if not any(one.bonds for one in asked) and not any(references):
        return asked
    refs = _refs(asked, ids)
    faults: list[Misplaced] = []
    made: list[Submission] = []
    for index, (one, own) in enumerate(zip(asked, references, strict=True)):
        parents: dict[JobId, None] = {}
        for place, name in _named(one, own):
            parent = refs.get(name, name)
            if parent == ids[index]:
                faults.append(Misplaced(index, place, "names the job itself"))
            elif name not in refs and name not in known:
                faults.append(Misplaced(index, place, f"no job, and no ref in this request, is called {name[:100]}"))
            parents[parent] = None
        if len(faults) > MOST_FAULTS:  # what else is wrong nobody reads
            break
        if len(parents) > MOST_PARENTS:
            told = f"names {len(parents)} jobs, with those of references; a job depends on {MOST_PARENTS} at most"
            faults.append(Misplaced(index, "dependsOn", told))
        made.append(_with(one, list(parents)))
    if faults:
        raise BadDependencies(faults)
    _check_order(made, ids, refs)
    return made


def outside(asked: Sequence[Submission], references: References) -> Sequence[JobId]:
    """The names of parents that no submission bears."""
    own = {one.bonds.ref for one in asked if one.bonds}
    names = (name for one, found in zip(asked, references, strict=True) for _, name in _named(one, found))
    return list(dict.fromkeys(name for name in names if name not in own))


def parents_first(jobs: Iterable[Job]) -> Sequence[Job]:
    """The jobs, each after those of them that it depends on."""
    known = {job.id: job for job in jobs}
    order = TopologicalSorter({id: [up for up in job.depends_on if up in known] for id, job in known.items()})
    return [known[id] for id in order.static_order()]


async def _beside(edges: int, work: Callable[P, R], *args: P.args, **named: P.kwargs) -> R:
    """The work, on a thread where so many edges would hold the loop: a hundred thousand, for a third of a second."""
    if edges <= BOUND_ON_LOOP:
        return work(*args, **named)
    return await asyncio.to_thread(work, *args, **named)


def _named(one: Submission, references: Sequence[Reference]) -> Iterator[tuple[str, str]]:
    if one.bonds:
        yield from ((f"dependsOn.{index}", name) for index, name in enumerate(one.bonds.depends_on))
    yield from ((f"payload.{dotted(found.place)}", found.parent) for found in references)


def _with(one: Submission, parents: Sequence[JobId]) -> Submission:
    if not one.bonds and not parents:
        return one
    return replace(one, bonds=replace(one.bonds or Bonds(), depends_on=parents))


def _refs(asked: Sequence[Submission], ids: Sequence[JobId]) -> Mapping[str, JobId]:
    refs: dict[str, JobId] = {}
    twice: list[Misplaced] = []
    for index, (one, id) in enumerate(zip(asked, ids, strict=True)):
        if one.bonds and one.bonds.ref:
            if one.bonds.ref in refs:
                twice.append(Misplaced(index, "ref", f"{one.bonds.ref} is another job's of this batch"))
            refs[one.bonds.ref] = id
    if twice:
        raise BadDependencies(twice)
    return refs


def _check_order(asked: Sequence[Submission], ids: Sequence[JobId], refs: Mapping[str, JobId]) -> None:
    own = set(ids)
    graph = {
        id: [up for up in one.bonds.depends_on if up in own] if one.bonds else []
        for id, one in zip(ids, asked, strict=True)
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        ring = error.args[1]
        called = {id: ref for ref, id in refs.items()}
        told = " -> ".join(called.get(id, id) for id in reversed(ring[:MOST_NAMED]))
        index = ids.index(ring[0])
        raise BadDependencies([Misplaced(index, "dependsOn", f"goes round in a cycle: {told}")]) from None
