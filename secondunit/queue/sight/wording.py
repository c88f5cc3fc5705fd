"""Wording that explanations share: how many jobs, how far, which slots are busy."""

from collections.abc import Sequence

from secondunit.queue.model import Job
from secondunit.queue.sentences import Sentence, say
from secondunit.queue.sight.room import Load


def jobs(n: int, type: str = "") -> Sentence:
    """So many jobs, of a type if that is to be said."""
    if type:
        return say("{n} {type} job" if n == 1 else "{n} {type} jobs", n=n, type=type)
    return say("{n} job" if n == 1 else "{n} jobs", n=n)


def are_before(n: int) -> Sentence:
    """So many are before it."""
    return say("{n} is before it" if n == 1 else "{n} are before it", n=n)


def percent(job: Job) -> str:
    """How far it is, in whole per cents that it has reached."""
    return f"{int(job.progress * 100 + 1e-9)} %"


def slots(type: str, load: Load, running: Sequence[Job]) -> Sentence:
    """Which slots are busy, of all or of the type, and how far the furthest of what runs there is."""
    busy = load.busy.get(type, 0)
    if load.total >= load.most and busy < load.limits[type]:
        n, of, mine = load.total, load.most, running
        template = "{n} of {of} slots over all types is busy" if n == 1 else "{n} of {of} slots over all types are busy"
    else:
        n, of, mine = busy, load.limits[type], [job for job in running if job.type == type]
        template = "{n} of {of} slots is busy" if n == 1 else "{n} of {of} slots are busy"
    return _busy(say(template, n=n, of=of), mine)


def slots_of_all(running: Sequence[Job], most: int) -> Sentence:
    """That so many run over all boxes as may, and how far the furthest is."""
    n = len(running)
    template = "{n} of {of} slots over all boxes is busy" if n == 1 else "{n} of {of} slots over all boxes are busy"
    return _busy(say(template, n=n, of=most), running)


def _busy(told: Sentence, mine: Sequence[Job]) -> Sentence:
    if not mine:
        return told
    if len(mine) == 1:
        return say("{slots}; the one that runs is {percent} done", slots=told, percent=percent(mine[0]))
    furthest = max(mine, key=lambda job: job.progress)
    template = "{slots}; the furthest of the {n} that run is {percent} done"
    return say(template, slots=told, n=len(mine), percent=percent(furthest))
