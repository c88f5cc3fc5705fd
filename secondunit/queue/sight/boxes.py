"""Boxes as they are told of: how each is, what it runs and could run; and why a job waits that this one can't start.

Pure: from rows, counts of leases and limits that were read at nearly the same time.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from secondunit.queue.model import Job
from secondunit.queue.ports.boxes import BoxRow, State
from secondunit.queue.sentences import say
from secondunit.queue.sight.explain import Explanation
from secondunit.queue.value import Value

T = TypeVar("T")
MOST_TOLD = 3


class SeenBox(Value, frozen=True):
    """One box: `limits` is how many jobs of each of its types it runs at once, `running` what runs under its leases.

    `waiting` jobs could start, and only there.
    """

    row: BoxRow
    state: State
    limits: Mapping[str, int]
    running: Mapping[str, int]
    poller: bool = False
    waiting: int = 0

    @property
    def name(self) -> str:
        """Its name."""
        return self.row.name

    @property
    def capacity(self) -> int:
        """How many jobs it runs at once at most."""
        return min(self.row.most, sum(self.limits.values()))


def seen(row: BoxRow, now: datetime, held: Mapping[str, Mapping[str, int]], overrides: Mapping[str, int]) -> SeenBox:
    """A box by its row, by what each boot has leased, and by the limits that an operator set."""
    running: dict[str, int] = {}
    for boot, numbers in held.items():
        if row.has(boot):
            running |= {type: running.get(type, 0) + n for type, n in numbers.items()}
    limits = {type: overrides.get(type, n) for type, n in row.limits.items()}
    return SeenBox(row, row.state(now), limits, running)


def elsewhere(job: Job, boxes: Sequence[SeenBox]) -> Explanation | None:
    """Why a job waits that the box which is asked won't start; None where no box serves its type."""
    serving = [box for box in boxes if job.type in box.limits]
    free = [box for box in serving if box.state == "up"]
    drained = [box for box in serving if box.state == "draining"]
    if free:
        busy, of = (sum(figures.get(job.type, 0) for figures in all) for all in _figures(free))
        template = "{boxes} runs {type} jobs; {n} of {of} slots there is busy"
        if len(free) > 1 or busy != 1:
            template = "{boxes} run {type} jobs; {n} of {of} slots there are busy"
        return Explanation("slot", say(template, boxes=_named(free), type=job.type, n=busy, of=of))
    if drained:
        template = "every box that runs {type} jobs is drained or shuts down: {boxes}; `secondunit boxes` lists them"
        return Explanation("draining", say(template, type=job.type, boxes=_named(drained)))
    if serving:
        template = "every box that runs {type} jobs is gone: {boxes}; `secondunit boxes` says since when"
        return Explanation("unknown_type", say(template, type=job.type, boxes=_named(serving)))
    if declaring := [box for box in boxes if job.type in box.row.remote and box.state != "gone"]:
        template = "remote workers lease {type} jobs at {boxes}, not here; those boxes explain whether one asks"
        return Explanation("slot", say(template, type=job.type, boxes=_named(declaring)))
    return None


def declared_apart(type: str, boxes: Sequence[SeenBox]) -> Sequence[Sequence[str]]:
    """The boxes that are there by what they declare of a remote type, those that don't at the end; () if all agree."""
    groups = alike((box.row.remote.get(type, ""), box.name) for box in boxes if box.state != "gone")
    without = groups.pop("", None)
    found = [*groups.values(), *([without] if without else [])]
    return found if groups and len(found) > 1 else ()


def ruled_apart(boxes: Sequence[SeenBox]) -> Mapping[str, Sequence[Sequence[str]]]:
    """The settings for what all share in which boxes that are there differ, each with those of one value together."""
    there = [box for box in boxes if box.state != "gone"]
    found: dict[str, Sequence[Sequence[str]]] = {}
    for name in dict.fromkeys(name for box in there for name in box.row.rules):
        groups = alike((box.row.rules[name], box.name) for box in there if name in box.row.rules)
        if len(groups) > 1:
            found[name] = [*groups.values()]
    return found


def alike(found: Iterable[tuple[T, str]]) -> dict[T, list[str]]:
    """The names of boxes by what was found of each."""
    names: dict[T, list[str]] = {}
    for what, name in found:
        names.setdefault(what, []).append(name)
    return names


def _figures(boxes: Sequence[SeenBox]) -> tuple[list[Mapping[str, int]], list[Mapping[str, int]]]:
    return [box.running for box in boxes], [box.limits for box in boxes]


def _named(boxes: Sequence[SeenBox]) -> object:
    names = [box.name for box in boxes]
    if len(names) > MOST_TOLD:
        return say("{jobs} and {n} more", jobs=names[:MOST_TOLD], n=len(names) - MOST_TOLD)
    return names
