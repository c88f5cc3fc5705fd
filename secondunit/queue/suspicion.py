"""Poison-pill rules: which job a daemon's death is charged to, and how the others are tried again. Pure.

Every job that ran when the daemon died goes back as a suspect. Suspects are tried one at a time, beside nothing but
jobs that are known to be good, until each is past the point where the daemon died; a death under a lone one is its own.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from secondunit.queue.model import Job, JobId, Lease, Status, Suspicion


def suspected(job: Job, lease: Lease, beside: int) -> Suspicion:
    """What is known, by its row, of a run under which the daemon died."""
    started = job.started_at or job.updated_at
    lived = max(lease.until - started, timedelta(0))  # the daemon died before its next beat, so before this was over
    return Suspicion(lease.boot, beside, job.progress, lived, job.entered_at or started)


def charged(running: Sequence[Job], proven: Collection[str]) -> JobId | None:
    """The job that a daemon's death is charged to, of all that ran then; None where it may have been another.

    The only one; else the only suspect; else, when nobody was suspected, the only one of a type that is not proven.
    """
    doubtful = [job for job in running if job.suspicion] or [job for job in running if job.type not in proven]
    if len(running) == 1:
        return running[0].id
    return doubtful[0].id if len(doubtful) == 1 else None


def past(job: Job, fraction: float) -> bool:
    """Whether a run that is so far is past the point where the daemon died."""
    return job.suspicion is not None and fraction > job.suspicion.progress


def in_turn(suspects: Sequence[Job], now: datetime) -> Sequence[Job]:
    """Those suspects that could start now, the likeliest culprits first.

    First those that were charged before, then those that ran alone, then whoever had entered its step or phase last.
    """
    ready = [
        (job, job.suspicion)
        for job in suspects
        if job.suspicion and job.status is Status.QUEUED and not job.waiting_for
        if job.run_at is None or job.run_at <= now
    ]
    ready.sort(key=lambda pair: (-pair[0].reclaims, pair[1].beside > 0, -pair[1].entered_at.timestamp(), pair[0].seq))
    return [job for job, _ in ready]


def known_good(proven: Collection[str], suspects: Sequence[Job]) -> frozenset[str]:
    """The types that may run beside a suspect: a job of theirs has completed, and none of theirs is suspected."""
    return frozenset(proven) - {job.type for job in suspects}


def probation(
    room: Mapping[str, int], suspects: Sequence[Job], doubtful: Sequence[str], proven: Collection[str], now: datetime
) -> tuple[Mapping[str, int], Sequence[Job]]:
    """The room that is left for ordinary jobs, and the suspects of which the first that can may start now.

    `doubtful` are the types of runs that are not past the point where the daemon died.
    """
    on_trial = any(job.status is Status.RUNNING for job in suspects)
    ready = [job for job in in_turn(suspects, now) if room.get(job.type, 0) > 0]
    if not on_trial and not ready:
        return room, ()
    good = known_good(proven, suspects)
    beside = {type: free for type, free in room.items() if type in good}
    if on_trial or not good.issuperset(doubtful):
        return beside, ()  # their turn comes when what runs has ended, or is past the point
    return beside, ready
