"""Explanation of a job: why it runs, waits or is over, as the next claim will judge it; one sentence with its figures.

Pure: from a snapshot of the job and of all that a claim looks at.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from secondunit.queue.model import Job, JobId, Status
from secondunit.queue.sentences import Sentence, say
from secondunit.queue.sight.homes import home_of
from secondunit.queue.sight.postponements import cause, still, woken
from secondunit.queue.sight.seen import Seen
from secondunit.queue.sight.wording import are_before, jobs, percent, slots, slots_of_all
from secondunit.queue.suspicion import in_turn, probation
from secondunit.queue.value import Value

Reason = Literal[
    "running", "slot", "priority", "backoff", "scheduled", "paused", "provider", "budget", "disk", "resources",
    "dependency", "draining", "unknown_type", "box", "store_full", "ended",
]  # fmt: skip
ENDED = {
    Status.COMPLETED: "it completed at {at}",
    Status.PARTIAL: "it completed in part at {at}",
    Status.FAILED: "it failed at {at}",
}
MOST_NAMED = 20
MOST_TOLD = 3


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
    held = _bound(job, seen) or _away(job, seen) or _held(job, seen) or _dated(job, seen) or _starved(seen)
    return held or _tried(job, seen) or _placed(job, seen)


def _ended(job: Job) -> Sentence:
    told = say(ENDED.get(job.status, "it was cancelled at {at}"), at=_at(job.finished_at or job.updated_at))
    if job.duration is not None:
        told = say("{ended} after {span}", ended=told, span=f"{round(job.duration.total_seconds(), 3):g} s")
    if job.status is Status.FAILED and job.error:
        told = say("{ended}: {error}", ended=told, error=_line(job.error.message))
    return told


def _running(job: Job) -> Sentence:
    told = say(
        "it runs since {at}, attempt {n} of {most}, {percent} done",
        at=_at(job.started_at or job.updated_at),
        n=job.attempt,
        most=job.retry.max_retries + 1,
        percent=percent(job),
    )
    told = say("{run} ({phase})", run=told, phase=_line(job.phase)) if job.phase else told
    return say("{run}; it was cancelled and is being stopped", run=told) if job.cancel_requested else told


def _bound(job: Job, seen: Seen) -> Explanation | None:
    """By jobs that it depends on and that have not ended."""
    if not job.waiting_for:
        return None
    waits = [parent for parent in seen.parents if not parent.status.ended]
    if not waits:
        return Explanation("dependency", say("what it waited for has ended; it is ready in a moment"))
    named = [_standing(one) for one in waits[:MOST_TOLD]]
    which: object = named
    if len(waits) > MOST_TOLD:
        which = say("{jobs} and {n} more", jobs=named, n=len(waits) - MOST_TOLD)
    count, of = len(waits), len(job.depends_on)
    template = "it waits for {n} of {of} job: {which}" if of == 1 else "it waits for {n} of {of} jobs: {which}"
    sentence = say(template, n=count, of=of, which=which)
    return Explanation("dependency", sentence, None, None, [one.id for one in waits[:MOST_NAMED]])


def _away(job: Job, seen: Seen) -> Explanation | None:
    """By its input, which is a file of another box."""
    if not seen.elsewhere:
        return None
    return Explanation("box", home_of(job.box, seen.home, seen.now))


def _standing(parent: Job) -> Sentence:
    if parent.status is Status.RUNNING:
        return say("{id} runs ({percent} done)", id=parent.id, percent=percent(parent))
    return say("{id} waits itself" if parent.waiting_for else "{id} is queued", id=parent.id)


def _held(job: Job, seen: Seen) -> Explanation | None:
    """By what no waiting ends: a type that is not served or paused, a daemon that starts nothing more."""
    if job.type not in seen.load.limits:
        known = sorted(seen.load.limits) or say("no type")
        told = say("this daemon does not serve the type {type}; it serves {known}", type=job.type, known=known)
        return Explanation("unknown_type", told)
    if job.type in seen.paused:
        told = say("the type {type} is paused; `secondunit jobs resume {type}` lets its jobs start", type=job.type)
        return Explanation("paused", told)
    if seen.load.draining:
        going = say("1 job still runs" if seen.load.total == 1 else "{n} jobs still run", n=seen.load.total)
        told = say("the daemon is shutting down and starts nothing; {going}, this one starts after", going=going)
        return Explanation("draining", told)
    if seen.load.drained:
        return Explanation(
            "draining", say("this box is drained and starts nothing; `secondunit boxes` shows which run")
        )
    return None


def _dated(job: Job, seen: Seen) -> Explanation | None:
    """By its own time: a schedule, the pause after a failure, a postponement with its cause."""
    if job.run_at is None or job.run_at <= seen.now:
        return None
    when = say("it may start at {at}, in {span}", at=_at(job.run_at), span=_span(job.run_at, seen.now))
    last = job.runs[-1] if job.runs else None
    if last and last.outcome == "postponed":
        reason = cause(last)
        why = _line(last.why) if last.why else say("it was postponed")
        if woken(last):
            return Explanation(reason, say("{why}; it starts within seconds of there being room", why=why))
        return Explanation(reason, say(still(reason, seen.trouble, seen.used_up), why=why, when=when), job.run_at)
    if last and last.outcome == "failed" and job.attempt > 1:
        why = say("attempt {n} of {most} failed", n=job.attempt - 1, most=job.retry.max_retries + 1)
        if job.error:
            why = say("{failed} ({error})", failed=why, error=_line(job.error.message))
        return Explanation("backoff", say("{why}; {when}", why=why, when=when), job.run_at)
    return Explanation("scheduled", say("it was submitted for later: {when}", when=when), job.run_at)


def _starved(seen: Seen) -> Explanation | None:
    if seen.load.short:
        return Explanation("resources", say("{why}; nothing starts until there is room", why=seen.load.short))
    if not seen.load.full:
        return None
    full = say("the disk of the database is full")
    full = say("{full} ({free})", full=full, free=seen.disk) if seen.disk else full
    return Explanation("store_full", say("{why}; nothing starts until there is room", why=full))


def _tried(job: Job, seen: Seen) -> Explanation | None:
    """By the daemon's death: suspects start one at a time, and beside them only types that are known to be good."""
    room = seen.room()
    beside, ready = _probation(seen, room)
    if job.suspicion:
        return _suspected(job, seen, room, ready)
    if job.type in beside or job.type not in room:
        return None
    trial = [other.id for other in seen.suspects if other.status is Status.RUNNING]
    waiting = [other.id for other in in_turn(seen.suspects, seen.now)]
    suspects = [*trial, *waiting]
    template = (
        "{jobs} that ran when the daemon died is tried first, on its own; no {type} job runs beside it"
        if len(suspects) == 1
        else "{jobs} that ran when the daemon died are tried first, one at a time; no {type} job runs beside them"
    )
    sentence = say(template, jobs=jobs(len(suspects)), type=job.type)
    return Explanation("slot", sentence, None, None, suspects[:MOST_NAMED])


def _suspected(job: Job, seen: Seen, room: Mapping[str, int], ready: Sequence[Job]) -> Explanation:
    told = say("it ran when the daemon died, and such jobs are tried one at a time")
    turn = [other.id for other in in_turn(seen.suspects, seen.now)]
    ahead = turn[: turn.index(job.id)] if job.id in turn else turn
    if ready and ready[0].id == job.id:
        return Explanation("slot", say("{told}; it starts next", told=told), None, 0, starts=True)
    trial = [other.id for other in seen.suspects if other.status is Status.RUNNING]
    if trial:
        told = say("{told}; one of them runs now and {ahead}", told=told, ahead=are_before(len(ahead)))
        return _behind(told, ahead, trial)
    if job.type not in room:
        told = say("{told}; {slots}", told=told, slots=_slots(job.type, seen))
        return _behind(told, ahead, _holders(job.type, seen))
    if not ready:
        doubtful = [id for id, _ in seen.load.doubtful]
        return _behind(
            say("{told}, once what runs now has ended: {jobs}", told=told, jobs=jobs(len(doubtful))), ahead, doubtful
        )
    return _behind(say("{told}; {ahead}", told=told, ahead=are_before(len(ahead))), ahead, ())


def _behind(sentence: Sentence, ahead: Sequence[JobId], holders: Sequence[JobId]) -> Explanation:
    return Explanation("slot", sentence, None, len(ahead), [*holders, *ahead][:MOST_NAMED])


def _placed(job: Job, seen: Seen) -> Explanation:
    """By its place in the line, and the slots."""
    room, started = seen.room(), 0
    beside, ready = _probation(seen, room)
    if ready:
        started = 1  # a suspect, which is no other's slot but one of all
    free_of_all = seen.load.most - seen.load.total - started
    own = seen.line.ahead.get(job.type, 0)
    limits = beside if free_of_all > 0 else seen.load.limits
    others = sum(min(n, limits.get(type, 0)) for type, n in seen.line.ahead.items() if type != job.type)
    ahead = own + others
    if own < beside.get(job.type, 0) and ahead < free_of_all:
        first = are_before(ahead) if ahead else say("it is the next")
        told = say("a slot is free and {first}: it starts in a moment", first=first)
        return Explanation("slot", _then(told, seen), None, ahead, starts=True)
    blocked = [*_holders(job.type, seen), *seen.line.first][:MOST_NAMED]
    busy = _slots(job.type, seen)
    line = say(
        "{jobs} is ahead" if ahead == 1 else "{jobs} are ahead", jobs=jobs(ahead, job.type if not others else "")
    )
    if seen.line.overtook and ahead:
        template = "{line}, {n} of them submitted later, with a higher priority than its {priority}; {slots}"
        sentence = say(template, line=line, n=seen.line.overtook, priority=job.priority, slots=busy)
        return Explanation("priority", sentence, None, ahead, blocked)
    line = line if ahead else say("it is the next {type} job", type=job.type)
    return Explanation("slot", say("{line} and {slots}", line=line, slots=busy), None, ahead, blocked)


def _probation(seen: Seen, room: Mapping[str, int]) -> tuple[Mapping[str, int], Sequence[Job]]:
    if not seen.suspects:
        return room, ()
    return probation(room, seen.suspects, [type for _, type in seen.load.doubtful], seen.proven, seen.now)


def _then(told: Sentence, seen: Seen) -> Sentence:
    """With what will hold it back once it has started."""
    why = seen.trouble or seen.used_up
    return say("{told}, but may be put back at once: {why}", told=told, why=_line(why)) if why else told


def _holders(type: str, seen: Seen) -> Sequence[JobId]:
    """The running jobs whose end makes room for one of this type."""
    if seen.load.total >= seen.load.most:
        return [job.id for job in seen.running]
    if seen.full(type) is not None:
        return [job.id for job in seen.everywhere(type)]
    return [job.id for job in seen.running if job.type == type]


def _slots(type: str, seen: Seen) -> Sentence:
    most = seen.full(type)
    if most is None or seen.load.total >= seen.load.most or seen.load.busy.get(type, 0) >= seen.load.limits[type]:
        return slots(type, seen.load, seen.running)
    return slots_of_all(seen.everywhere(type), most)


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
