"""Layered drawing of a batch's dependency graph: levels by longest path, order by barycentre. Pure; in pixels."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean

from secondunit.queue.graph.binding import parents_first
from secondunit.queue.model import Job, JobId
from secondunit.queue.value import Value

MOST_DRAWN, MOST_ARROWS = 80, 400
WIDTH, HEIGHT = 164, 44
ACROSS, DOWN, EDGE = 56, 14, 10

Stop = JobId | tuple[JobId, JobId, int]  # a job, or an arrow's place in a level that it goes through


class Node(Value, frozen=True):
    """A job in the drawing; `left` and `top` are its upper left corner."""

    job: Job
    left: float
    top: float


class Drawing(Value, frozen=True):
    """All of it; an arrow is the `d` of an SVG path (SVG 2, 9.3) from a job to one that waits for it."""

    width: float
    height: float
    nodes: Sequence[Node]
    arrows: Sequence[str]


def levels(jobs: Sequence[Job]) -> Sequence[Sequence[Job]]:
    """The jobs by how many others of them stand before each in the longest line; each level in order of submission."""
    depth: dict[JobId, int] = {}
    for job in parents_first(jobs):
        depth[job.id] = 1 + max((depth[id] for id in job.depends_on if id in depth), default=-1)
    rows: list[list[Job]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for job in sorted(jobs, key=lambda job: job.seq):
        rows[depth[job.id]].append(job)
    return rows


def drawn(rows: Sequence[Sequence[Job]]) -> Drawing | None:
    """The levels as columns from left to right; None for so many jobs or arrows that a table reads better.

    An arrow over several levels has a place of its own in those between, so that it crosses no job.
    """
    level = {job.id: number for number, row in enumerate(rows) for job in row}
    ties = [(up, job.id) for row in rows for job in row for up in job.depends_on if up in level]
    if len(level) > MOST_DRAWN or len(ties) > MOST_ARROWS:
        return None
    ways: list[list[Stop]] = [
        [up, *((up, down, number) for number in range(level[up] + 1, level[down])), down] for up, down in ties
    ]
    before: dict[Stop, list[Stop]] = {}
    for way in ways:
        for one, other in pairwise(way):
            before.setdefault(other, []).append(one)
    columns: list[list[Stop]] = [[job.id for job in row] for row in rows]
    for stop in before:
        if isinstance(stop, tuple):
            columns[stop[2]].append(stop)
    corner = _corners(columns, before)
    tallest = max(map(len, columns), default=0)
    return Drawing(
        2 * EDGE + len(columns) * (WIDTH + ACROSS) - ACROSS,
        2 * EDGE + tallest * (HEIGHT + DOWN) - DOWN,
        [Node(job, *corner[job.id]) for row in rows for job in row],
        [_arrow([corner[stop] for stop in way]) for way in ways],
    )


def _corners(
    columns: Sequence[Sequence[Stop]], before: Mapping[Stop, Sequence[Stop]]
) -> Mapping[Stop, tuple[float, float]]:
    """Where each stop lies: in its column as near to the middle of those before it as the others let it."""
    place: dict[Stop, float] = {}
    corner: dict[Stop, tuple[float, float]] = {}
    tallest = max(map(len, columns), default=0)
    for number, column in enumerate(columns):
        middle = {stop: fmean(place[one] for one in before[stop]) if stop in before else 0.0 for stop in column}
        order = sorted(column, key=middle.__getitem__)
        place |= {stop: (index + 0.5) / len(order) for index, stop in enumerate(order)}
        top = EDGE + (tallest - len(order)) * (HEIGHT + DOWN) / 2
        left = EDGE + number * (WIDTH + ACROSS)
        corner |= {stop: (left, top + index * (HEIGHT + DOWN)) for index, stop in enumerate(order)}
    return corner


def _arrow(way: Sequence[tuple[float, float]]) -> str:
    """From the right side of the first through those between to the left side of the last."""
    (left, top), *others = way
    y, path = top + HEIGHT / 2, f"M{left + WIDTH:g} {top + HEIGHT / 2:g}"
    for left, top in others:
        to_y = top + HEIGHT / 2
        path += f"C{left - ACROSS / 2:g} {y:g} {left - ACROSS / 2:g} {to_y:g} {left:g} {to_y:g}H{left + WIDTH:g}"
        y = to_y
    return path.rpartition("H")[0]


def counted(jobs: Sequence[Job]) -> Mapping[str, int]:
    """How many of these stand where."""
    return Counter(job.status.value for job in jobs)
