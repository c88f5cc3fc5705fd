"""Explanation of a job: why it runs, waits or is over, as the next claim will judge it; one sentence with its figures.

Pure: from a snapshot of the job and of all that a claim looks at. The word of a later reason (box) stands here
already; nothing holds a job back for it yet.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from secondunit.queue.model import Job, JobId, Run, Status
from secondunit.queue.sight.port import Line
from secondunit.queue.sight.room import Load
from secondunit.queue.suspicion import in_turn, probation
from secondunit.queue.value import Value

Reason = Literal[
    "running", "slot", "priority", "backoff", "scheduled", "paused", "provider", "budget", "disk", "resources",
    "dependency", "draining", "unknown_type", "box", "store_full", "ended",
]  # fmt: skip
MOST_NAMED = 20
MOST_TOLD = 3
BUDGETS = frozenset({"budget_used_up", "quota_exhausted"})
DISKS = frozenset({"disk_full", "no_room"})
PROVIDERS = ("_down", "_limited", "_paused")


class Seen(Value, frozen=True):
    """What a claim looks at, at `now`: `running` jobs, and the `line` before the job that is explained.

    `proven` are the types of which a job has completed. `trouble` says why what the type asks outside can't be used
    now, `used_up` that its budget is. `disk` tells how the database's disk stands. `parents` are those of the job.
    """

    now: datetime
    load: Load
    paused: frozenset[str] = frozenset()
    running: Sequence[Job] = ()
    suspects: Sequence[Job] = ()
    proven: frozenset[str] = frozenset()
    line: Line = Line()
    trouble: str | None = None
    used_up: str | None = None
    disk: str = ""
    parents: Sequence[Job] = ()


class Explanation(Value, frozen=True):
    """Why a job stands where it stands. `ahead` counts those that start before it, where that can be told.

    `starts`: the next claim takes it.
    """

    reason: Reason
    sentence: str
    until: datetime | None = None
    ahead: int | None = None
    blocked_by: Sequence[JobId] = ()
    starts: bool = False


def explain(job: Job, seen: Seen) -> Explanation:
    """Why the job is where it is."""
    if job.status.ended:
        return Explanation("ended", _ended(job))
    if job.status is Status.RUNNING:
        return Explanation("running", _running(job))
    held = _bound(job, seen) or _held(job, seen) or _dated(job, seen) or _starved(seen)
    return held or _tried(job, seen) or _placed(job, seen)


def _ended(job: Job) -> str:
    how = {Status.COMPLETED: "it completed", Status.PARTIAL: "it completed in part", Status.FAILED: "it failed"}
    told = f"{how.get(job.status, 'it was cancelled')} at {_at(job.finished_at or job.updated_at)}"
    if job.duration is not None:
        told += f" after {job.duration.total_seconds():g} s"
    return f"{told}: {_line(job.error.message)}" if job.status is Status.FAILED and job.error else told


def _running(job: Job) -> str:
    told = (
        f"it runs since {_at(job.started_at or job.updated_at)}, attempt {job.attempt} of {job.retry.max_retries + 1}"
    )
    told += f", {_percent(job)} done" + (f" ({_line(job.phase)})" if job.phase else "")
    return told + ("; it was cancelled and is being stopped" if job.cancel_requested else "")


def _bound(job: Job, seen: Seen) -> Explanation | None:
    """By jobs that it depends on and that have not ended."""
    if not job.waiting_for:
        return None
    waits = [parent for parent in seen.parents if not parent.status.ended]
    told = ", ".join(f"{one.id} {_standing(one)}" for one in waits[:MOST_TOLD])
    more = f" and {len(waits) - MOST_TOLD} more" if len(waits) > MOST_TOLD else ""
    count = f"{len(waits)} of {len(job.depends_on)} {'job' if len(job.depends_on) == 1 else 'jobs'}"
    sentence = (
        f"it waits for {count}: {told}{more}" if waits else "what it waited for has ended; it is ready in a moment"
    )
    return Explanation("dependency", sentence, None, None, [one.id for one in waits[:MOST_NAMED]])


def _standing(parent: Job) -> str:
    if parent.status is Status.RUNNING:
        return f"runs ({_percent(parent)} done)"
    return "waits itself" if parent.waiting_for else "is queued"


def _held(job: Job, seen: Seen) -> Explanation | None:
    """By what no waiting ends: a type that is not served or paused, a daemon that starts nothing more."""
    if job.type not in seen.load.limits:
        known = ", ".join(sorted(seen.load.limits)) or "no type"
        return Explanation("unknown_type", f"this daemon does not serve the type {job.type}; it serves {known}")
    if job.type in seen.paused:
        remedy = f"`secondunit jobs resume {job.type}` lets its jobs start"
        return Explanation("paused", f"the type {job.type} is paused; {remedy}")
    if seen.load.draining:
        going = f"{seen.load.total} jobs still run" if seen.load.total != 1 else "1 job still runs"
        return Explanation(
            "draining", f"the daemon is shutting down and starts nothing; {going}, this one starts after"
        )
    return None


def _dated(job: Job, seen: Seen) -> Explanation | None:
    """By its own time: a schedule, the pause after a failure, a postponement with its cause."""
    if job.run_at is None or job.run_at <= seen.now:
        return None
    when = f"it may start at {_at(job.run_at)}, in {_span(job.run_at, seen.now)}"
    last = job.runs[-1] if job.runs else None
    if last and last.outcome == "postponed":
        reason = _cause(last)
        still = _still(reason, seen)
        return Explanation(reason, f"{_line(last.why or 'it was postponed')}{still}; {when}", job.run_at)
    if last and last.outcome == "failed" and job.attempt > 1:
        why = f"attempt {job.attempt - 1} of {job.retry.max_retries + 1} failed"
        error = f" ({_line(job.error.message)})" if job.error else ""
        return Explanation("backoff", f"{why}{error}; {when}", job.run_at)
    return Explanation("scheduled", f"it was submitted for later: {when}", job.run_at)


def _cause(run: Run) -> Reason:
    word = (run.why or "").partition(":")[0]
    if word in BUDGETS:
        return "budget"
    if word in DISKS:
        return "disk"
    return "provider" if word.endswith(PROVIDERS) else "backoff"


def _still(reason: Reason, seen: Seen) -> str:
    """Whether what it was postponed for holds now."""
    if reason == "provider" and seen.trouble is None:
        return "; the way is free again, but it waits for its time"
    if reason == "budget" and seen.used_up is None:
        return "; the budget has room again, but it waits for its time"
    return ""


def _starved(seen: Seen) -> Explanation | None:
    if seen.load.short:
        return Explanation("resources", f"{seen.load.short}; nothing starts until there is room")
    if not seen.load.full:
        return None
    figure = f" ({seen.disk})" if seen.disk else ""
    return Explanation("store_full", f"the disk of the database is full{figure}; nothing starts until there is room")


def _tried(job: Job, seen: Seen) -> Explanation | None:
    """By the daemon's death: suspects start one at a time, and beside them only types that are known to be good."""
    room = seen.load.room(seen.paused)
    beside, ready = _probation(seen, room)
    if job.suspicion:
        return _suspected(job, seen, room, ready)
    if job.type in beside or job.type not in room:
        return None
    trial = [other.id for other in seen.suspects if other.status is Status.RUNNING]
    waiting = [other.id for other in in_turn(seen.suspects, seen.now)]
    suspects = [*trial, *waiting]
    what = f"{_jobs(len(suspects))} that ran when the daemon died"
    how = "is tried first, on its own" if len(suspects) == 1 else "are tried first, one at a time"
    beside_it = f"no {job.type} job runs beside {'it' if len(suspects) == 1 else 'them'}"
    return Explanation("slot", f"{what} {how}; {beside_it}", None, None, suspects[:MOST_NAMED])


def _suspected(job: Job, seen: Seen, room: Mapping[str, int], ready: Sequence[Job]) -> Explanation:
    told = "it ran when the daemon died, and such jobs are tried one at a time"
    turn = [other.id for other in in_turn(seen.suspects, seen.now)]
    ahead = turn[: turn.index(job.id)] if job.id in turn else turn
    if ready and ready[0].id == job.id:
        return Explanation("slot", f"{told}; it starts next", None, 0, starts=True)
    trial = [other.id for other in seen.suspects if other.status is Status.RUNNING]
    if trial:
        return _behind(f"{told}; one of them runs now and {_are(len(ahead))} before it", ahead, trial)
    if job.type not in room:
        return _behind(f"{told}; {_slots(job.type, seen)}", ahead, _holders(job.type, seen))
    if not ready:
        doubtful = [id for id, _ in seen.load.doubtful]
        return _behind(f"{told}, once what runs now has ended: {_jobs(len(doubtful))}", ahead, doubtful)
    return _behind(f"{told}; {_are(len(ahead))} before it", ahead, ())


def _behind(sentence: str, ahead: Sequence[JobId], holders: Sequence[JobId]) -> Explanation:
    return Explanation("slot", sentence, None, len(ahead), [*holders, *ahead][:MOST_NAMED])


def _placed(job: Job, seen: Seen) -> Explanation:
    """By its place in the line, and the slots."""
    room, started = seen.load.room(seen.paused), 0
    beside, ready = _probation(seen, room)
    if ready:
        started = 1  # a suspect, which is no other's slot but one of all
    free_of_all = seen.load.most - seen.load.total - started
    own = seen.line.ahead.get(job.type, 0)
    limits = beside if free_of_all > 0 else seen.load.limits
    others = sum(min(n, limits.get(type, 0)) for type, n in seen.line.ahead.items() if type != job.type)
    ahead = own + others
    if own < beside.get(job.type, 0) and ahead < free_of_all:
        first = f"{_are(ahead)} before it" if ahead else "it is the next"
        return Explanation(
            "slot", f"a slot is free and {first}: it starts in a moment{_then(seen)}", None, ahead, starts=True
        )
    blocked = [*_holders(job.type, seen), *seen.line.first][:MOST_NAMED]
    line = f"{_jobs(ahead, job.type if not others else '')} {'is' if ahead == 1 else 'are'} ahead"
    if seen.line.overtook and ahead:
        higher = f"{seen.line.overtook} of them submitted later, with a higher priority than its {job.priority}"
        return Explanation("priority", f"{line}, {higher}; {_slots(job.type, seen)}", None, ahead, blocked)
    line = line if ahead else f"it is the next {job.type} job"
    return Explanation("slot", f"{line} and {_slots(job.type, seen)}", None, ahead, blocked)


def _probation(seen: Seen, room: Mapping[str, int]) -> tuple[Mapping[str, int], Sequence[Job]]:
    if not seen.suspects:
        return room, ()
    return probation(room, seen.suspects, [type for _, type in seen.load.doubtful], seen.proven, seen.now)


def _then(seen: Seen) -> str:
    """What will hold it back once it has started."""
    why = seen.trouble or seen.used_up
    return f", but may be put back at once: {_line(why)}" if why else ""


def _holders(type: str, seen: Seen) -> Sequence[JobId]:
    """The running jobs whose end makes room for one of this type."""
    if seen.load.total >= seen.load.most:
        return [job.id for job in seen.running]
    return [job.id for job in seen.running if job.type == type]


def _slots(type: str, seen: Seen) -> str:
    load = seen.load
    if load.total >= load.most and load.busy.get(type, 0) < load.limits[type]:
        told, mine = f"{load.total} of {load.most} slots over all types {_is(load.total)} busy", seen.running
    else:
        busy = load.busy.get(type, 0)
        told = f"{busy} of {load.limits[type]} slots {_is(busy)} busy"
        mine = [job for job in seen.running if job.type == type]
    if not mine:
        return told
    if len(mine) == 1:
        return f"{told}; the one that runs is {_percent(mine[0])} done"
    return (
        f"{told}; the furthest of the {len(mine)} that run is {_percent(max(mine, key=lambda job: job.progress))} done"
    )


def _jobs(n: int, type: str = "") -> str:
    return f"{n} {type}{' ' if type else ''}{'job' if n == 1 else 'jobs'}"


def _are(n: int) -> str:
    return f"{n} {'is' if n == 1 else 'are'}"


def _is(n: int) -> str:
    return "is" if n == 1 else "are"


def _percent(job: Job) -> str:
    return f"{int(job.progress * 100 + 1e-9)} %"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _span(until: datetime, now: datetime) -> str:
    seconds = max((until - now).total_seconds(), 0.0)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _line(text: str) -> str:
    """A foreign text as part of one line."""
    return " ".join(text.split())[:300]
