"""Checks of what boxes that share a queue must agree on, and of types for which nobody is there. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from secondunit.daemon.diagnosis.checks import CheckResult, ok, warn
from secondunit.daemon.formats import instant
from secondunit.queue.remote.workers import SeenWorker
from secondunit.queue.sentences import say
from secondunit.queue.sight.boxes import SeenBox, alike, ruled_apart

UNSEEN = timedelta(hours=1)
CLOCK_ASTRAY = timedelta(seconds=2)


def boxes_checks(boxes: Sequence[SeenBox], waiting: Mapping[str, int], now: datetime) -> Sequence[CheckResult]:
    """Of boxes that are there or still hold leases; `waiting` is how many jobs of each type are queued."""
    there = [box for box in boxes if box.state != "gone"]
    found = [*_gone(boxes, now), *_apart(there), *_unserved(boxes, there, waiting)]
    return found or [ok("boxes", say("{n} share the queue, of one version", n=len(there)))]


def clock_check(astray: timedelta) -> CheckResult:
    """By how much this box's clock differs from the database's, which counts."""
    if abs(astray) < CLOCK_ASTRAY:
        return ok("box clock", say("it agrees with the database's"))
    template = "it is {n} s ahead of the database's" if astray > timedelta(0) else "it is {n} s behind the database's"
    remedy = say("set it (NTP): the queue goes by the database's clock, but logs, files and certificates by this one")
    return warn("box clock", say(template, n=round(abs(astray).total_seconds())), remedy)


def remote_type_check(
    type: str, workers: Sequence[SeenWorker], waiting: int, apart: Sequence[Sequence[str]], now: datetime
) -> CheckResult:
    """Whether a worker asked for jobs of the type lately, and boxes agree on what it is."""
    name = "remote types"
    if apart:
        groups = " | ".join(", ".join(boxes) for boxes in apart)
        found = say("boxes declare {type} differently: {groups}", type=type, groups=groups)
        return warn(name, found, say("give each box the same [remote_types.{type}], and restart it", type=type))
    remedy = say("start a worker that leases {type} jobs; `secondunit types` lists those that were seen", type=type)
    if not workers:
        template = "no worker has asked for {type} jobs in the last day; {n} wait"
        return warn(name, say(template, type=type, n=waiting), remedy)
    last = max(one.seen_at for one in workers)
    if not any(one.waiting for one in workers) and now - last > UNSEEN:
        template = "no worker has asked for {type} jobs since {at}; {n} wait"
        return warn(name, say(template, type=type, at=instant(last), n=waiting), remedy)
    return ok(name, say("{n} workers take {type} jobs", n=len(workers), type=type))


def _gone(boxes: Sequence[SeenBox], now: datetime) -> Iterator[CheckResult]:
    for box in boxes:
        n = sum(box.running.values())
        if box.state == "gone" and n:
            template = "{name} was not seen for {s} s, and {n} jobs run under its leases"
            found = say(template, name=box.name, s=round((now - box.row.seen_at).total_seconds()), n=n)
            yield warn("boxes", found, say("others take them within its lease; look whether its daemon lives"))


def _apart(there: Sequence[SeenBox]) -> Iterator[CheckResult]:
    versions = alike((box.row.version, box.name) for box in there)
    if len(versions) > 1:
        named = "; ".join(f"{version}: {', '.join(names)}" for version, names in sorted(versions.items()))
        remedy = say("install one version on all, box by box")
        yield warn("boxes", say("they are of several versions ({versions})", versions=named), remedy)
    leases = alike((box.row.lease.total_seconds(), box.name) for box in there)
    if len(leases) > 1:
        named = "; ".join(f"{seconds:g} s: {', '.join(names)}" for seconds, names in sorted(leases.items()))
        remedy = say("give each the same LEASE_SECONDS, unless it is meant")
        yield warn("boxes", say("their leases last differently ({leases})", leases=named), remedy)
    for name, groups in ruled_apart(there).items():
        told = " | ".join(", ".join(group) for group in groups)
        remedy = say("give each the same {name}, and restart it: it holds for what all share", name=name)
        yield warn("boxes", say("{name} differs: {groups}", name=name, groups=told), remedy)


def _unserved(boxes: Sequence[SeenBox], there: Sequence[SeenBox], waiting: Mapping[str, int]) -> Iterator[CheckResult]:
    served = {type for box in there for type in (*box.limits, *box.row.remote)}
    for type in sorted(type for type, n in waiting.items() if n and type not in served):
        were = sorted(box.name for box in boxes if type in box.limits or type in box.row.remote)
        template = "{n} {type} jobs wait, and no box that is there runs them"
        remedy = say("start one that does: {boxes}", boxes=were) if were else say("install the plugin, or set TYPES")
        yield warn("boxes", say(template, n=waiting[type], type=type), remedy)
